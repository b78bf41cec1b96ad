"""Turn a folder of scans into data that mmdet3d reads like ScanNet.

    python tools/preparation/import_scans.py --source DIR --out data/NAME

DIR holds one .npz or .ply file per scan. Every scan needs coordinates (npz:
xyz, ply: x y z) and colors (npz: rgb, ply: red green blue); it may have, per
point, NYU40 ids (semantic), instance ids (instance) and region ids (region),
where 0 means none. Boxes are an array bbox (center, size, NYU40 id), or are
beside the scan as <scan>.boxes.json:

    {"boxes": [{"class": "chair", "center": [x, y, z], "size": [dx, dy, dz]}]}

A scan's name is its file's, without the ending and without a _labelled or
_vh_clean_2 at its end. A 4x4 matrix in <scan>_axis_align.txt turns it about z
until walls are parallel to the axes; boxes are given in that turned frame.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import shlex
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.sources.scans import up_axis
from sam3d_plugin.preparation.sources.scans.import_scans import (ImportOptions,
                                                                 import_scans)
from sam3d_plugin.preparation.sources.scans.splits import (parse_split,
                                                           read_list)
from sam3d_plugin.store.errors import naming


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--source', type=Path, required=True, help='folder of the scans')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder of the data set')
    _add_split_arguments(parser)
    _add_scan_arguments(parser)
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace files of the same name in the output folder')
    return parser.parse_args(argv)


def _add_split_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        'splits', 'By default every scan is in train and val. If only one of '
        'the two is given, the other is the rest of the scans.')
    for name in ('train', 'val'):
        either = group.add_mutually_exclusive_group()
        either.add_argument(
            f'--{name}', nargs='+', metavar='SCAN', help=f'scans of {name}')
        either.add_argument(
            f'--{name}-list',
            type=Path,
            metavar='FILE',
            help='the same from a file, one name in a line')
    group.add_argument(
        '--split',
        action='append',
        default=[],
        metavar='NAME=SCAN,SCAN',
        help='another split, written as scannet_infos_NAME.pkl (or '
        'NAME=@FILE; repeatable)')


def _add_scan_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('scans')
    group.add_argument(
        '--scale',
        type=float,
        help='meters per unit, e.g. 0.001 for millimeters; without it the '
        'scans must look like rooms in meters')
    group.add_argument(
        '--up',
        type=up_axis,
        metavar='AXIS',
        help='axis that points up, or a vector along it; without it z must '
        'look like it (write a negative axis as --up=-y)')
    group.add_argument(
        '--region-key',
        metavar='NAME',
        help='array or vertex property of the region ids (default: region, '
        'region_id or sam3d_ensemble_group)')
    group.add_argument(
        '--without-color',
        action='store_true',
        help='store mid-gray for scans without colors')
    group.add_argument(
        '--drop-invalid',
        action='store_true',
        help='leave out points that are NaN or infinite')


def collect_splits(args: argparse.Namespace) -> List[Dict[str, List[str]]]:
    """All splits of the command line, one dict each."""
    splits = [parse_split(text) for text in args.split]
    for name in ('train', 'val'):
        scans = getattr(args, name)
        path = getattr(args, f'{name}_list')
        if scans or path:
            splits.append({name: scans or read_list(path)})
    return splits


def run(args: argparse.Namespace) -> None:
    """Import the scans and say how to train on them."""
    with naming(args.out):
        import_scans(
            ImportOptions(
                source=args.source,
                out=args.out,
                splits=collect_splits(args),
                scale=args.scale,
                up=args.up,
                region_key=args.region_key,
                without_color=args.without_color,
                drop_invalid=args.drop_invalid,
                overwrite=args.overwrite))
    has_regions = any(Path(args.out, 'regions').glob('*.npz'))
    tokens = '' if has_regions else '_knn'
    option = shlex.quote(f'data_root={args.out}/')
    print('Next: python tools/train.py configs/sam3d/groupfree3d_scannet_mini'
          f'{tokens}.py --cfg-options {option}')


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Import the scans; the exit status."""
    return run_tool(run, parse_args(argv), PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
