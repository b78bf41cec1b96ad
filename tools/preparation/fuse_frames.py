"""Fuse the frames of RGB-D recordings into point clouds.

    python tools/preparation/fuse_frames.py --data data/NAME

For recordings without a reconstruction: data/NAME/posed_images/<scan> gets
data/NAME/points/<scan>.bin, and the infos that mmdet3d reads, without labels.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Dict, List, Optional, Sequence

from sam3d_plugin.cli.parameters import add_parameters, chosen
from sam3d_plugin.cli.run_arguments import add_check_argument
from sam3d_plugin.cli.step_tool import (DataParser, add_run_arguments,
                                        run_options, tool_main)
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.preparation.sources.rgbd_folder.fuse_step import (
    FuseStep, FusionSettings, check_splits, describe_checks, write_infos)
from sam3d_plugin.preparation.sources.scans.source_files import check_unclaimed
from sam3d_plugin.store.manifest import Store


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = DataParser(__doc__, '')
    add_parameters(parser, FusionSettings)
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
    """The step of a command line."""
    settings = FusionSettings(**chosen(args, FusionSettings))
    return FuseStep(args.data, settings, args.backend_args, not args.unchecked)


def fuse(args: argparse.Namespace) -> None:
    """Fuse the scans and list them."""
    step = build_step(args)
    splits: Dict[str, List[str]] = {}
    if args.train or args.val:
        splits = dict(train=args.train, val=args.val)
    check_splits(splits, step.scans(), args.data)
    check_unclaimed(
        Store(args.out, args.backend_args),
        [f'points/{scan}.bin' for scan in step.scans()])
    run_step(step, args.out, run_options(args))
    for line in describe_checks(args.out, args.backend_args):
        print(f'  {line}')
    infos = write_infos(args.out, splits, args.backend_args)
    print('\n'.join(f'  {path}' for path in infos.values()))


main = tool_main(parse_args, fuse)

if __name__ == '__main__':
    sys.exit(main())
