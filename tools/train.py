"""Train any mmdet3d config, on CPU or GPU."""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import List, Optional

from sam3d_plugin.cli.arguments import ToolParser, add_common_options
from sam3d_plugin.cli.tool import run_tool


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from CHECKPOINT, or without one from the newest '
        'complete checkpoint of the work directory')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: float16 on GPU, bfloat16 on CPU')
    parser.add_argument(
        '--sync_bn',
        choices=['none', 'torch', 'mmcv'],
        default='none',
        help='synchronize BatchNorm over several GPUs')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by batch size over base_batch_size')
    add_common_options(parser)
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Train."""
    from sam3d_plugin.cli.training import train
    train(args)


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_tool(main, arguments))
