"""Print arms side by side, from the records of tools/experiments/evaluate.py.

    python tools/experiments/compare.py results/fresh results/pretrained

The first arm is the baseline, unless --baseline names another. Scores are
means and standard deviations over trainings, in percent. A difference has
its 95 % confidence interval and the p value after Holm's correction over all
differences of the table; at 0.05 or less it is called a gain or a loss. Arms
with the same seeds are compared in pairs, since a seed fixes the order of the
scenes, their points and the few labeled ones; others by Welch's t test
(sam3d_plugin/experiments/comparison.py). What authors
reported stands in a column of its own: it was measured elsewhere, with other
code and on the full data set, and is compared with nothing. Arms that were
evaluated on different data are refused; what else they differ in, apart from
the encoder that they start from, is said under the table.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.arm_tables import METRICS
from sam3d_plugin.experiments.arm_tables import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'arms', nargs='+', type=Path, help='folders of seed_*.json')
    parser.add_argument(
        '--baseline', help='name of an arm (default: the first)')
    parser.add_argument(
        '--metrics',
        nargs='+',
        help='keys of the scores (default: those there are of '
        f'{", ".join(METRICS)})')
    add_options(parser, 'json')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
