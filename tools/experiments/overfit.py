"""Overfit real scans with every model, one after the other, for docs/results.

    python tools/experiments/overfit.py --source RECORDINGS

A room of ScanNet and its rescan, three frames of SUN RGB-D, and a part of a
room of S3DIS, each with a ``_mini`` config that two CPU cores train in under
30 minutes. Every training is evaluated on what it has seen; those on the room
also on the rescan, which has no SAM regions, with kNN and with superpoint
tokens instead. Every step is a plain command, printed before it runs. Finished
steps are skipped; rerun the command to resume. The JSON file gets the complete
runs.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.overfit import RUNS
from sam3d_plugin.experiments.overfit import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--source', required=True, help='folder of the recordings')
    parser.add_argument(
        '--data', default='data', help='where the imported scans go')
    parser.add_argument('--runs', nargs='+', choices=list(RUNS), default=RUNS)
    add_options(
        parser,
        'cfg_options',
        work_dir=Path('work_dirs/overfit'),
        json='docs/results/overfit.json')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
