"""Segment scans without frames into superpoints, as their regions.

    python tools/preparation/make_superpoints.py --data data/NAME

Reads data/NAME/points/<scan>.bin, writes data/NAME/regions/<scan>.npz, and
names these files in data/NAME/*_infos_*.pkl, from where training takes them.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.regions.superpoint_step import (SuperpointStep,
                                                              make_regions)
from sam3d_plugin.preparation.regions.superpoints import build_options
from sam3d_plugin.preparation.running.cli import (add_option_argument,
                                                  add_run_arguments,
                                                  run_options)
from sam3d_plugin.store.files import join


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--data',
        required=True,
        metavar='DIR',
        help='data set with a folder points')
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='folder of the region files (default: regions in the data set, '
        'where training looks for them)')
    add_option_argument(parser, 'superpoints')
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    args.out = args.out or join(args.data, 'regions')
    return args


def build_step(args: argparse.Namespace) -> SuperpointStep:
    """Build the step that the command line asks for."""
    return SuperpointStep(
        args.data, build_options(args.options), backend_args=args.backend_args)


def make(args: argparse.Namespace) -> None:
    """Make the region files and, once complete, enter them in the infos."""
    make_regions(build_step(args), args.data, args.out, run_options(args))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Make the superpoints; the exit status."""
    args = parse_args(argv)
    return run_tool(make, args, PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
