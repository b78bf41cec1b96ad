"""Evaluate a checkpoint of any mmdet3d config, on CPU or GPU.

Pictures of the predictions come from tools/visualize/detections.py.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
from typing import List, Optional

from sam3d_plugin.cli.arguments import ToolParser, add_common_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.cli.value_types import output_file


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or address')
    parser.add_argument(
        '--tta',
        action='store_true',
        help="average over the config's tta_pipeline (segmentation)")
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the metrics')
    add_common_options(parser)
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Evaluate."""
    from mmengine.dist import is_main_process

    from sam3d_plugin.cli.training import build_runner
    from sam3d_plugin.engine.compatibility import check_checkpoint
    from sam3d_plugin.engine.options import enable_tta, load_config
    from sam3d_plugin.store import atomic_write
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    check_checkpoint(args.checkpoint, cfg)
    # What a training may start from its initialization, a test may not.
    cfg.allow_missing = []
    if args.tta:
        enable_tta(cfg)
    metrics = build_runner(cfg, ['test_dataloader']).test()
    if args.json and is_main_process():
        with atomic_write(args.json, 'w') as file:
            json.dump(metrics, file, indent=1)


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_tool(main, arguments))
