"""Does pre-training help where few scans have labels? Measured on SynthRooms.

    python tools/experiments/few_labels.py --ladder work_dirs/ladder \\
        --data-root data/synthrooms_mini

Fine-tunes a detector and a segmentor on 5 and on 10 percent of the training
rooms from the encoders of --arms, with the kind of tokens that these were
trained with, and evaluates them on the validation rooms. The encoders are the
ladder's (tools/experiments/ladder.py), which has shown all arms the same
number of frames; training SEED starts from pre-training SEED. Arms are
compared with random_sam or random_knn, a fresh encoder with the same tokens.
The rarest third of the classes has a score of its own: those with the fewest
boxes or labeled points in all training rooms. Every step is a plain command,
printed before it runs, and not run again when it is done. The records of all
trainings are in a folder beside the --json file, for tools/experiments/
compare.py.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.arms import ARMS
from sam3d_plugin.experiments.few_labels import DEFAULT_ARMS, TASKS
from sam3d_plugin.experiments.few_labels import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--ladder',
        type=Path,
        default='work_dirs/ladder',
        help="the ladder's work directory (default: %(default)s)")
    parser.add_argument(
        '--arms',
        nargs='+',
        choices=list(ARMS),
        default=list(DEFAULT_ARMS),
        metavar='ARM',
        help=f'of the ladder (default: {" ".join(DEFAULT_ARMS)})')
    parser.add_argument(
        '--data-root',
        default='data/synthrooms_mini',
        help='prepared SynthRooms')
    parser.add_argument(
        '--tasks', nargs='+', choices=list(TASKS), default=list(TASKS))
    add_options(
        parser,
        'seeds',
        'cfg_options',
        work_dir=Path('work_dirs/few_labels'),
        json='docs/results/few_labels.json')
    parser.set_defaults(budget='mini')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
