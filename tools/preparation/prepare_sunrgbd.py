"""Turn SUN RGB-D into data that mmdet3d reads, without MATLAB.

    python tools/preparation/prepare_sunrgbd.py --source DIR --out data/sunrgbd

DIR is one of two. Either the release: SUNRGBD.zip and SUNRGBDtoolbox.zip
unzipped side by side with SUNRGBDMeta3DBB_v2.mat and SUNRGBDMeta2DBB_v2.mat.
Or sunrgbd_trainval, which VoteNet's and mmdet3d's MATLAB scripts make of it.
A folder that holds OFFICIAL_SUNRGBD or sunrgbd_trainval will do.

OUT gets points/, sunrgbd_infos_{train,val}.pkl, sunrgbd_v1_infos_{train,val}
.pkl with the older boxes that 3DETR and GroupFree3D are evaluated on, and
posed_images/ with each scan as one RGB-D frame for the steps that follow.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.step_tool import (add_run_arguments, plain_console,
                                        run_options, source_parser, tool_main)
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.preparation.sources.scans.source_files import check_unclaimed
from sam3d_plugin.preparation.sources.sunrgbd.infos import (check_totals,
                                                            write_infos)
from sam3d_plugin.preparation.sources.sunrgbd.sources import FORMS, open_source
from sam3d_plugin.preparation.sources.sunrgbd.step import SunRGBDStep
from sam3d_plugin.store.manifest import Store


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = source_parser(__doc__, 'data/sunrgbd')
    parser.add_argument(
        '--form',
        choices=('auto', *FORMS),
        default='auto',
        help='form of the source (default: detected)')
    parser.add_argument(
        '--partial',
        action='store_true',
        help='accept fewer than 10,335 scans')
    parser.add_argument(
        '--without-v1', action='store_true', help='skip the older boxes')
    parser.add_argument(
        '--without-images',
        action='store_true',
        help='do not copy the images to OUT/sunrgbd_trainval/image, where '
        "mmdet3d's configs with cameras look for them")
    parser.add_argument(
        '--num-points',
        type=int,
        default=50000,
        metavar='N',
        help='points kept of a scan; 0 keeps all (default: 50000)')
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the sampled points')
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> SunRGBDStep:
    """The step of a command line."""
    source = open_source(args.source, args.form, not args.without_v1,
                         args.partial, args.backend_args)
    # A folder that is already where mmdet3d looks is not copied to itself.
    is_there = Path(source.root).resolve() == (Path(args.out) /
                                               'sunrgbd_trainval').resolve()
    return SunRGBDStep(source, args.num_points, args.seed,
                       not (args.without_images or is_there))


def prepare(args: argparse.Namespace) -> None:
    """Prepare the scans and write the infos."""
    console, options = plain_console(), run_options(args)
    step = build_step(args)
    counts = {split: len(s) for split, s in step.source.splits().items()}
    check_totals(counts, args.source, args.partial)
    store = Store(args.out, options.backend_args)
    check_unclaimed(
        store, (name for scan in step.scans()
                for name in (f'points/{scan}.bin', f'posed_images/{scan}')))
    run_step(step, args.out, options, console)
    for line in write_infos(step.source, store, args.partial):
        console.print(f'  {line}')


main = tool_main(parse_args, prepare)

if __name__ == '__main__':
    sys.exit(main())
