"""Measure how much of the 2D features geometry explains.

    python tools/experiments/feature_geometry.py --data-root data/synthrooms \\
        --features region_features region_features_handcrafted \\
        --json geometry.json

Predicts the feature of every region from its shape, height and size, in rooms
that were held out. Stage 1 cannot learn what no geometry explains.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.feature_geometry import (explained_variance,
                                                       read_regions)
from sam3d_plugin.experiments.records import write_record
from sam3d_plugin.store.manifest import Store

# Of a data set, evenly spaced; more change little.
FRAMES = 400


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--data-root', type=Path, required=True, metavar='DIR')
    parser.add_argument('--ann-file', default='scannet_infos_train.pkl')
    parser.add_argument(
        '--features', nargs='+', default=['region_features'], metavar='FOLDER')
    parser.add_argument('--json', type=Path, metavar='FILE')
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> None:
    """Measure all feature folders."""
    found = {}
    for folder in args.features:
        regions = read_regions(args.data_root, args.ann_file, folder, 20000,
                               FRAMES)
        settings = Store(args.data_root / folder).header()['settings']
        found[folder] = dict(
            explained_variance(regions),
            encoder=settings['encoder'],
            regions=len(regions.scans))
        print(folder, found[folder])
    if args.json:
        write_record(args.json, found)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measure; the exit status."""
    return run_tool(measure, parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
