"""Fuse the frames of RGB-D recordings into point clouds.

    python tools/preparation/fuse_frames.py --data data/NAME

For recordings without a reconstruction: data/NAME/posed_images/<scan> gets
data/NAME/points/<scan>.bin, and the infos that mmdet3d reads, without labels.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Dict, List, Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.running.cli import (add_check_argument,
                                                  add_run_arguments,
                                                  run_options)
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.preparation.sources.rgbd_folder.fuse_step import (
    FuseStep, FusionSettings, check_splits, describe_checks, write_infos)
from sam3d_plugin.preparation.sources.scans.source_files import check_unclaimed
from sam3d_plugin.store.manifest import Store


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--data', required=True, help='folder of the data set')
    parser.add_argument('--out', help='where to write (default: --data)')
    parser.add_argument(
        '--voxel', type=float, default=0.025, help='edge in meters')
    parser.add_argument(
        '--max-depth',
        type=float,
        default=5.0,
        help='meters beyond which depth is not used')
    parser.add_argument(
        '--min-pixels',
        type=int,
        default=3,
        help='minimum number of pixels per voxel')
    parser.add_argument(
        '--max-points',
        type=int,
        help='limit of voxels; the most seen are kept')
    for split in ('train', 'val'):
        parser.add_argument(
            f'--{split}',
            nargs='+',
            metavar='SCAN',
            default=[],
            help=f'scans of {split} (without both: all in both)')
    add_check_argument(parser)
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> FuseStep:
    """The step that the command line asks for."""
    settings = FusionSettings(args.voxel, args.max_depth, args.min_pixels,
                              args.max_points)
    return FuseStep(args.data, settings, args.backend_args, not args.unchecked)


def split_lists(args: argparse.Namespace) -> Dict[str, List[str]]:
    """The splits of the command line; empty when it names none."""
    splits = dict(train=args.train, val=args.val)
    return splits if any(splits.values()) else {}


def fuse(args: argparse.Namespace) -> None:
    """Fuse the scans and list them."""
    out = args.out or args.data
    step, splits = build_step(args), split_lists(args)
    check_splits(splits, step.scans(), args.data)
    check_unclaimed(
        Store(out, args.backend_args),
        [f'points/{scan}.bin' for scan in step.scans()])
    run_step(step, out, run_options(args))
    for line in describe_checks(out, args.backend_args):
        print(f'  {line}')
    infos = write_infos(out, splits, args.backend_args)
    print('\n'.join(f'  {path}' for path in infos.values()))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Fuse the scans; the exit status."""
    return run_tool(fuse, parse_args(argv), PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
