"""Does pre-training help? Arms with the same data and budget, by a probe.

Trains every arm with every seed and probes the frozen encoder on scenes that
no training saw (tools/experiments/linear_probe.py). Each pre-training arm sees
the same number of frames in total; paper_sam_long sees twice as many. Arms
that begin with the same training share it. Each step is a plain command,
printed before it runs. Rerun the command to resume. Results of other settings
or data are kept under another name, and taken back when their settings return.
Several ladders may run side by side in one --work-dir, with different --seeds
or --arms. Results that the --json file has from elsewhere stay in it, if they
are of the same settings and data.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.arms import ARMS, BUDGETS
from sam3d_plugin.experiments.ladder import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--arms',
        nargs='*',
        default=list(ARMS),
        choices=list(ARMS),
        metavar='ARM',
        help=f'of {", ".join(ARMS)}, the most important first (default: all; '
        'none: only put results together)')
    parser.add_argument(
        '--budget',
        choices=list(BUDGETS),
        default='mini',
        help='mini: 2,000 steps of 2 frames of 4,096 points; full: 120 '
        'epochs, batches of 64, 20,000 points, for a GPU')
    parser.add_argument(
        '--length',
        type=int,
        help='steps (mini) or epochs (full) of an arm in total')
    parser.add_argument('--data-root', required=True)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='further settings of every training')
    parser.add_argument(
        '--probe-points', type=int, help='points per frame of the probe')
    parser.add_argument(
        '--held-out',
        action='store_true',
        help='train on three quarters of the train scenes and probe on the '
        'others: for choosing settings without the validation scenes')
    add_options(
        parser, 'seeds', 'device', json=..., work_dir=Path('work_dirs/ladder'))
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
