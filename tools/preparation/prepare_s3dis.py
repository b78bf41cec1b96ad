"""Turn the raw release of S3DIS into data that mmdet3d reads.

    python tools/preparation/prepare_s3dis.py --source DIR --out data/s3dis

DIR holds Stanford3dDataset_v1.2_Aligned_Version, or is that folder. Written
are, per room, points/, instance_mask/ and semantic_mask/ (the room's least
corner is the origin), per area s3dis_infos_Area_1.pkl and seg_info/, and
superpoints in regions/, since the release has no posed frames. mmdet3d's
configs train on areas 1, 2, 3, 4, 6 and test on area 5.

Flaws of the release are fixed where that is safe and counted in the
manifest: control characters, lines that are not six numbers, class stairs.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.run_arguments import add_option_argument
from sam3d_plugin.cli.step_tool import (add_run_arguments, run_options,
                                        source_parser, tool_main)
from sam3d_plugin.preparation.regions.superpoint_step import (SuperpointStep,
                                                              make_regions)
from sam3d_plugin.preparation.regions.superpoints import build_options
from sam3d_plugin.preparation.sources.s3dis.area_infos import prepare_rooms
from sam3d_plugin.preparation.sources.s3dis.raw import check_total
from sam3d_plugin.preparation.sources.s3dis.rooms import RoomStep
from sam3d_plugin.store.files import join


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = source_parser(__doc__)
    parser.add_argument(
        '--partial',
        action='store_true',
        help='accept an incomplete release (fewer than 272 rooms)')
    parser.add_argument(
        '--without-superpoints',
        action='store_true',
        help='make no regions (make_superpoints.py makes them later)')
    add_option_argument(parser, 'superpoints')
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> RoomStep:
    """The step of a command line."""
    step = RoomStep(args.source, args.backend_args)
    if not args.partial:
        check_total(step.folders, args.source)
    return step


def prepare(args: argparse.Namespace) -> None:
    """Prepare the rooms, then their superpoints."""
    options = build_options(args.options)
    rooms = build_step(args)
    prepare_rooms(rooms, args.out, run_options(args))
    if not args.without_superpoints:
        make_regions(
            SuperpointStep(args.out, options, rooms.scans(),
                           args.backend_args), args.out,
            join(args.out, 'regions'), run_options(args))


main = tool_main(parse_args, prepare)

if __name__ == '__main__':
    sys.exit(main())
