"""Segment scans without frames into superpoints, as their regions.

    python tools/preparation/make_superpoints.py --data data/NAME

Reads data/NAME/points/<scan>.bin, writes data/NAME/regions/<scan>.npz, and
names these files in data/NAME/*_infos_*.pkl, from where training takes them.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.run_arguments import add_option_argument
from sam3d_plugin.cli.step_tool import (DataParser, add_run_arguments,
                                        run_options, tool_main)
from sam3d_plugin.preparation.regions.superpoint_step import (SuperpointStep,
                                                              make_regions)
from sam3d_plugin.preparation.regions.superpoints import build_options


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    # Where training looks for them.
    parser = DataParser(__doc__, 'regions')
    add_option_argument(parser, 'superpoints')
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> SuperpointStep:
    """The step of a command line."""
    return SuperpointStep(
        args.data, build_options(args.options), backend_args=args.backend_args)


def make(args: argparse.Namespace) -> None:
    """Make the region files and, once complete, enter them in the infos."""
    make_regions(build_step(args), args.data, args.out, run_options(args))


main = tool_main(parse_args, make)

if __name__ == '__main__':
    sys.exit(main())
