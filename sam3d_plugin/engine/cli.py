"""What ``tools/train.py`` and ``tools/test.py`` have in common."""
import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Callable, List, Optional

from mmdet3d.registry import RUNNERS
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import distributed as dist

from ..datasets.preflight import check_datasets
from .console import file_only, quieten, warnings_in_log_file
from .errors import explain

# Heads whose targets and queries are laid out for this many boxes a scene.
_MAX_BOXES = {'VoteNet': 64, 'GroupFree3DNet': 64}


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both tools take.

    Args:
        parser (ArgumentParser): Receives them.
    """
    parser.add_argument(
        '--work-dir', help='where logs and checkpoints go (default: '
        'work_dirs/CONFIG)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings over those of the config, as key=value; data_root='
        'PATH moves every dataset that lies in the old data root')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how several processes are started (torchrun: pytorch)')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show where an error came from, not only its sentence')


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the options that both tools take.

    Args:
        args (Namespace): Parsed options.

    Returns:
        Config: With work directory, launcher and runner type.

    Raises:
        ValueError: If an option does not fit the config.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    old_root = _data_root(cfg)
    try:
        cfg.merge_from_dict(args.cfg_options)
    except (KeyError, TypeError) as error:
        raise ValueError(f'--cfg-options do not fit {args.config}: '
                         f'{error.args[0]}') from error
    if 'data_root' in args.cfg_options:
        move_data_root(cfg, old_root, args.cfg_options['data_root'])
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    cfg.setdefault('default_scope', 'mmdet3d')
    cfg.setdefault('runner_type', 'PointRunner')
    return cfg


def _data_root(cfg: Config) -> Optional[str]:
    """The config's data root: its variable, or that of its training set."""
    if 'data_root' in cfg:
        return cfg.data_root
    dataset = cfg.get('train_dataloader', {}).get('dataset', {})
    while 'data_root' not in dataset and 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset.get('data_root')


def move_data_root(node: Any, old: Optional[str], new: str) -> None:
    """Replace the data root wherever a config repeats it, in place.

    Options are merged after the ``_base_`` files have been read, so the
    copies of the variable in the datasets still hold the old path.

    Args:
        node (Any): Config, or a part of it.
        old (str, optional): The config's own data root.
        new (str): The one to use.

    Raises:
        ValueError: If the config has no data root.
    """
    if not old:
        raise ValueError('the config has no data_root that --cfg-options '
                         'could change')
    pairs = node.items() if hasattr(node, 'items') else enumerate(node)
    for key, value in list(pairs):
        if isinstance(value, str):
            node[key] = _moved(value, old, new)
        elif isinstance(value, (dict, list)):
            move_data_root(value, old, new)


def _moved(value: str, old: str, new: str) -> str:
    """The path with its root replaced; other strings as they are."""
    folder = old.rstrip('/')
    if value.rstrip('/') == folder:
        return new
    if value.startswith(folder + '/'):
        return f'{new.rstrip("/")}/{value[len(folder) + 1:]}'
    return value


def build_runner(cfg: Config, loaders: List[str]) -> Runner:
    """Check the data, then build the runner.

    Args:
        cfg (Config): The whole configuration.
        loaders (list[str]): Names of the dataloaders that will be read.

    Returns:
        Runner: Ready to train or test.
    """
    quieten(MMLogger.get_current_instance())
    datasets = [cfg[name]['dataset'] for name in loaders if cfg.get(name)]
    check_datasets(datasets, _MAX_BOXES.get(cfg.model.get('type')))
    return RUNNERS.build(cfg)


def run_tool(main: Callable[[argparse.Namespace], None],
             args: argparse.Namespace) -> int:
    """Run a tool and turn the errors it foresees into one sentence.

    Args:
        main (callable): The tool.
        args (Namespace): Its options; ``traceback`` shows errors in full.

    Returns:
        int: Exit status: 0, 2 after an error that was explained, 130 after
        an interruption.
    """
    try:
        with warnings_in_log_file():
            main(args)
    except (Exception, KeyboardInterrupt) as error:
        sentence = explain(error)
        if sentence is None or args.traceback:
            raise
        MMLogger.get_current_instance().info(traceback.format_exc(),
                                             **file_only())
        print(f'error: {sentence}', file=sys.stderr)
        return 130 if isinstance(error, KeyboardInterrupt) else 2
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0
