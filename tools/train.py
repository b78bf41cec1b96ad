"""Train any mmdet3d config, on CPU or GPU."""
import argparse
import sys
from typing import List, Optional

from mmengine.config import Config

import sam3d_plugin  # noqa: F401  registers the plugin for stock configs
from sam3d_plugin.engine.cli import (add_common_options, build_runner,
                                     load_config, run_tool)
from sam3d_plugin.engine.work_dir import locked_work_dir


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from CHECKPOINT, or without one from the newest whole '
        'checkpoint of the work directory')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: float16 on GPU, bfloat16 on CPU')
    parser.add_argument(
        '--sync_bn',
        choices=['none', 'torch', 'mmcv'],
        default='none',
        help='synchronise BatchNorm over several GPUs')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by batch size over base_batch_size')
    add_common_options(parser)
    return parser.parse_args(argv)


def apply_options(cfg: Config, args: argparse.Namespace) -> None:
    """Put the training options into the config.

    Raises:
        ValueError: If the config cannot take an option.
    """
    if args.amp:
        enable_amp(cfg)
    if args.sync_bn != 'none':
        cfg.sync_bn = args.sync_bn
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ValueError(f'--auto-scale-lr needs auto_scale_lr.'
                             f'base_batch_size in {args.config}')
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume


def enable_amp(cfg: Config) -> None:
    """Turn on mixed precision.

    Raises:
        ValueError: If the config has an optimizer wrapper of its own kind.
    """
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(f'--amp works with OptimWrapper, and the config has '
                         f'{wrapper}')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def main(args: argparse.Namespace) -> None:
    """Train."""
    cfg = load_config(args)
    apply_options(cfg, args)
    with locked_work_dir(cfg.work_dir):
        build_runner(cfg, ['train_dataloader', 'val_dataloader']).train()


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_tool(main, arguments))
