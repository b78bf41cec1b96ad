"""Run every pre-training on real RGB-D frames, for docs/results.

Trains stage 1 and stage 2 with SAM and with kNN tokens, then all methods of
projects that need no labels, for a few steps on recordings that were prepared
(docs/data.md), and says whether every loss fell and how far the tokens are
from being all alike. Each training is a plain command, printed before it runs;
a finished one is not run again.

Shapes: B frames, G tokens, C channels.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.pretrain_real import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--data', default='data/chain', help='folder of the recordings')
    parser.add_argument('--steps', type=int, default=60)
    parser.add_argument(
        '--frames', type=int, default=4, help='frames of a step')
    parser.add_argument('--points', type=int, default=4096, help='of a frame')
    add_options(
        parser,
        work_dir='work_dirs/pretrain_real',
        json='docs/results/pretrain_real.json')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
