"""Climb the ladder on a machine with a GPU in a given time.

    python tools/experiments/full_ladder.py --minutes 9

Makes SynthRooms with regions, the stand-in's features and groups on all cores,
and then trains and probes as many arms and seeds of the ladder
(tools/experiments/ladder.py --budget full) as fit into the time, the most
important first. Nothing is started that is not expected to end in time, judged
by the arms that are done. The results are written after each arm. Rerun the
command to resume: finished work is kept and costs no time. --tiny goes through
all of it on two CPU cores, with tiny rooms and a few steps.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.full_ladder import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--minutes',
        type=float,
        default=9,
        help='time for everything (default: %(default)s)')
    parser.add_argument(
        '--tiny', action='store_true', help='tiny rooms and a few steps')
    add_options(
        parser,
        'seeds',
        work_dir=Path('work_dirs/full_ladder'),
        json='docs/results/full.json')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
