"""Turn ScanNet's meshes and annotations into data that mmdet3d reads.

    python tools/preparation/prepare_scannet.py --source DIR --lists LISTS

DIR is the release with scans/ and scans_test/; of each scan it needs
<scan>_vh_clean_2.ply and <scan>.txt, and of those with annotations
<scan>_vh_clean_2.0.010000.segs.json and <scan>.aggregation.json, and
scannetv2-labels.combined.tsv beside them. LISTS holds
scannetv2_train.txt, scannetv2_val.txt and scannetv2_test.txt.

OUT gets points/, instance_mask/, semantic_mask/, seg_info/ and
scannet_infos_{train,val,test}.pkl with the 18 detection classes, as mmdet3d's
own converter makes them: all vertices, unaligned, with NYU40 ids. Test scans
have no annotations: no boxes, masks of zeros.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.step_tool import (add_run_arguments, plain_console,
                                        run_options, source_parser, tool_main)
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.preparation.sources.scannet import layout
from sam3d_plugin.preparation.sources.scannet.scans import ScanNetScans
from sam3d_plugin.preparation.sources.scannet.split_infos import (check_local,
                                                                  write_infos)
from sam3d_plugin.preparation.sources.scans.source_files import check_unclaimed
from sam3d_plugin.store.files import join
from sam3d_plugin.store.manifest import Store

LABELS = 'scannetv2-labels.combined.tsv'


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = source_parser(__doc__, 'data/scannet')
    parser.add_argument(
        '--labels',
        metavar='FILE',
        help=f'the label map (default: DIR/{LABELS})')
    parser.add_argument(
        '--lists', metavar='LISTS', help='folder with scannetv2_<split>.txt')
    for split in layout.OFFICIAL_TOTALS:
        parser.add_argument(
            f'--{split}-list',
            metavar='FILE',
            help=f'the list of {split}, if it is elsewhere')
    parser.add_argument(
        '--splits',
        nargs='+',
        choices=tuple(layout.OFFICIAL_TOTALS),
        metavar='SPLIT',
        help='only these splits (default: all that have a list)')
    totals = '/'.join(f'{n:,}' for n in layout.OFFICIAL_TOTALS.values())
    parser.add_argument(
        '--partial',
        action='store_true',
        help=f'accept fewer scans than {totals}, and skip those that fail')
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> ScanNetScans:
    """The step of a command line."""
    backend_args = layout.source_backend_args(args.source, args.backend_args)
    given = {
        split: getattr(args, f'{split}_list')
        for split in layout.OFFICIAL_TOTALS if getattr(args, f'{split}_list')
    }
    files = layout.find_lists(
        args.lists, given, args.splits,
        layout.source_backend_args(args.lists, args.backend_args))
    splits = layout.select_splits(
        layout.read_splits(files, args.backend_args),
        layout.find_folders(args.source, backend_args), args.source,
        args.partial)
    return ScanNetScans(args.source, splits, args.labels
                        or join(args.source, LABELS), backend_args)


def prepare(args: argparse.Namespace) -> None:
    """Prepare the scans and write the infos of the splits."""
    console, options = plain_console(), run_options(args)
    store = Store(args.out, options.backend_args)
    check_local(store)
    step = build_step(args)
    check_unclaimed(store, [f'points/{scan}.bin' for scan in step.scans()])
    run_step(step, args.out, options, console)
    write_infos(store, step.splits, console, args.partial)


main = tool_main(parse_args, prepare)

if __name__ == '__main__':
    sys.exit(main())
