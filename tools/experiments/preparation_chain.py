"""Run all of preparation on the real recordings, for docs/preparation.md.

    python tools/experiments/preparation_chain.py --source RECORDINGS

Imports a 7-Scenes recording, four ScanNet frames with their scan, three SUN
RGB-D frames and an S3DIS room, runs every step of preparation on them, and
makes 30 scenes of SynthRooms.
Each step is a plain command, printed before it runs; what a step says of
itself (``--report``) and what it left on disk becomes docs/results/
preparation.json. Steps that are done are not run again.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.preparation_chain import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--source', type=Path, required=True, help='folder of the recordings')
    parser.add_argument('--data', type=Path, default='data/chain')
    parser.add_argument(
        '--only', nargs='+', metavar='NAME', help='some of the recordings')
    add_options(parser, json='docs/results/preparation.json')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
