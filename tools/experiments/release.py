"""Train the encoder and the detector that come with the package.

    python tools/experiments/release.py

Replaces the files in sam3d_plugin/shipped. An hour and a half on two cores, in
plain commands that are printed before they run. Finished steps are skipped;
rerun the command to resume.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--source',
        metavar='DIR',
        help='folder of recordings with a room of ScanNet and its rescan, to '
        'be scored on as well')
    add_options(
        parser,
        'cfg_options',
        work_dir=Path('work_dirs/release'),
        json='docs/results/release.json')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Train, measure, write."""
    from sam3d_plugin.experiments.release import run
    run(args)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
