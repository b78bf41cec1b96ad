"""Train, probe and fine-tune every method on the same data; one table.

    python tools/experiments/zoo.py --data-root data/synthrooms_mini

Every method sees the same number of frames with the same backbone, is probed
at points (tools/experiments/ladder.py), and is the start of a detector and a
segmentor that see a tenth of the labels (tools/experiments/few_labels.py).
What is there is not run again: rerun the command to resume. A picture with a
point for each method and seed is written beside the --json file. On a GPU,
``--budget full`` trains 120 epochs with batches of 64 clouds.

What was measured of other methods and seeds, also on other machines, stays in
the folder beside the --json file. All share one budget and data set: others
are refused before any training.

``--rates`` compares two learning rates of every method instead, on scenes held
out from the train scenes, and writes zoo_rates.json beside the --json file.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.arms import BUDGETS
from sam3d_plugin.experiments.methods import read_methods
from sam3d_plugin.experiments.zoo import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    methods = list(read_methods())
    parser.add_argument('--data-root', required=True)
    parser.add_argument(
        '--methods',
        nargs='+',
        choices=methods,
        default=methods,
        metavar='METHOD',
        help=f'of {", ".join(methods)} (default: all)')
    parser.add_argument('--budget', choices=list(BUDGETS), default='mini')
    parser.add_argument(
        '--rates',
        action='store_true',
        help='try two learning rates of every method')
    add_options(
        parser,
        'seeds',
        'device',
        'cfg_options',
        work_dir=Path('work_dirs/zoo'),
        json='docs/results/zoo.json')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
