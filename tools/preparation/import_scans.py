"""Turn a folder of scans into data that mmdet3d reads like ScanNet.

    python tools/preparation/import_scans.py --source DIR --out data/NAME

DIR holds one file per scan: .npz, .ply, .pcd, .las, .laz, .glb or .obj (the
surface is sampled), or .bin of ScanNet. Every scan needs coordinates (npz:
xyz, else x y z) and may have colors (npz: rgb, else red green blue) and, per
point, NYU40 ids (semantic), instance ids (instance) and region ids (region),
where 0 means none. Boxes are an array bbox (center, size, NYU40 id), or are
beside the scan as <scan>.boxes.json:

    {"boxes": [{"class": "chair", "center": [x, y, z], "size": [dx, dy, dz]}]}

Turned boxes (yaw) are refused: give the box that encloses each.

A scan's name is its file's, without the ending and without a _labelled or
_vh_clean_2 at its end. A 4x4 matrix in <scan>_axis_align.txt, named like the
file or the scan, turns it about z until walls are parallel to the axes; boxes
are given in that turned frame.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from sam3d_plugin.cli.parameters import add_parameters, chosen
from sam3d_plugin.cli.step_tool import source_parser, tool_main
from sam3d_plugin.preparation.sources.scans import up_axis
from sam3d_plugin.preparation.sources.scans.import_scans import (ImportOptions,
                                                                 import_scans,
                                                                 next_command)
from sam3d_plugin.preparation.sources.scans.scan_readers import ReadOptions
from sam3d_plugin.preparation.sources.scans.splits import (parse_split,
                                                           read_list)
from sam3d_plugin.store.errors import naming

_READING = ('region_key', 'without_color', 'drop_invalid')
_IMPORT = ('scale', 'overwrite')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = source_parser(__doc__)
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
    add_parameters(parser, ReadOptions, _READING)
    add_parameters(parser, ImportOptions, _IMPORT)
    parser.add_argument(
        '--up',
        type=up_axis,
        metavar='AXIS',
        help='axis that points up, or a vector along it; without it z (of '
        '.glb: y) must look like it (write a negative axis as --up=-y)')
    return parser.parse_args(argv)


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
        stored = import_scans(
            ImportOptions(
                Path(args.source),
                Path(args.out),
                collect_splits(args),
                up=args.up,
                **chosen(args, ReadOptions, _READING),
                **chosen(args, ImportOptions, _IMPORT)))
    print(f'Next: {next_command(list(stored.values()), str(args.out))}')


main = tool_main(parse_args, run)

if __name__ == '__main__':
    sys.exit(main())
