"""Command-line options applied to a config."""
import argparse
import difflib
import os
from pathlib import Path
from typing import Any, Dict, List

from mmengine.config import Config, ConfigDict

from .. import shipped
from ..datasets.preflight import find_leaf_datasets
from ..store.errors import UserError
from .option_checks import check_options
from .projects import make_projects_importable

_CONFIG_SUFFIXES = ('.py', '.yml', '.yaml', '.json')
_WEIGHT_SUFFIXES = ('.pth', '.pt', '.ckpt', '.bin', '.tar', '.safetensors')


def load_config(args: argparse.Namespace) -> Config:
    """The config with options, work directory, launcher and runner type.

    Raises ValueError if an option does not fit the config.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.launcher == 'none' and 'TORCHELASTIC_RUN_ID' in os.environ:
        # Without it every process of torchrun would train on its own.
        cfg.launcher = 'pytorch'
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    cfg.setdefault('default_scope', 'mmdet3d')
    cfg.setdefault('runner_type', 'PointRunner')
    return cfg


def read_config(filename: str, options: Dict[str, Any]) -> Config:
    """The config with the options, a changed data root moved everywhere.

    configs/... is that of this package unless the current folder has it.

    Raises ValueError if an option does not fit the config.
    """
    make_projects_importable()
    if filename.startswith('configs/') and not Path(filename).exists():
        filename = str(shipped.FILES / filename)
    _check_config_file(Path(filename))
    cfg = Config.fromfile(filename)
    old_roots = _data_roots(cfg)
    options = check_options(cfg, options)
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError) as error:
        raise UserError(f'--cfg-options do not fit {filename}: '
                        f'{error.args[0]}') from error
    if 'data_root' in options:
        if not old_roots:
            raise UserError('the config has no data_root that --cfg-options '
                            'could change')
        for old_root in old_roots:
            move_data_root(cfg, old_root, options['data_root'])
    if 'teacher' in options:
        set_teacher(cfg, options['teacher'])
    return cfg


def _check_config_file(path: Path) -> None:
    """Refuse what cannot be a config before mmengine reads it."""
    if path.suffix not in _CONFIG_SUFFIXES:
        hint = ('; are config and checkpoint swapped?'
                if path.suffix in _WEIGHT_SUFFIXES else '')
        raise UserError(f'{path} is not a config (.py){hint}')
    if path.is_file():
        return
    names = [p.name for p in path.parent.glob('*.py')]
    close = difflib.get_close_matches(path.name, names, n=3)
    hint = f'; did you mean {" or ".join(close)}?' if close else ''
    raise FileNotFoundError(f'config {path} is missing{hint}')


def set_teacher(cfg: Config, checkpoint: str) -> None:
    """Put the checkpoint of stage 1 where stage 2 reads it, in place.

    Raises ValueError if the model has no teacher.
    """
    targets: Any = cfg.model.get('target_generator') or {}
    if 'checkpoint' not in targets:
        raise UserError('the config has no teacher that --cfg-options '
                        'could name: its model has no target_generator with '
                        'a checkpoint')
    targets.checkpoint = checkpoint


def _data_roots(cfg: Config) -> List[str]:
    """The config's data roots: its variable's, and its training set's.

    They differ where a child config names another data set than the
    variable of its ``_base_`` file.
    """
    dataset = cfg.get('train_dataloader', {}).get('dataset', {})
    roots = [cfg.get('data_root')]
    roots += [leaf.get('data_root') for leaf in find_leaf_datasets(dataset)]
    return list(dict.fromkeys(root for root in roots if root))


def move_data_root(node: Any, old: str, new: str) -> None:
    """Replace the data root wherever a config repeats it, in place.

    Options are merged after the ``_base_`` files have been read, so the copies
    of the variable in the datasets still hold the old path.
    """
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


def apply_train_options(cfg: Config, args: argparse.Namespace) -> None:
    """Put the options of ``tools/train.py`` into its config, in place.

    Raises ValueError if the config cannot take an option.
    """
    if args.amp:
        enable_amp(cfg)
    if args.sync_bn != 'none':
        cfg.sync_bn = args.sync_bn
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UserError(f'--auto-scale-lr needs auto_scale_lr.'
                            f'base_batch_size in {args.config}')
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        cfg.resume = True
        # Where a run starts that was stopped before its first checkpoint.
        cfg.start_from = cfg.get('load_from')
        cfg.load_from = None if args.resume == 'auto' else args.resume


def enable_amp(cfg: Config) -> None:
    """Turn on mixed precision, in place.

    Raises ValueError if the config has an optimizer wrapper of its own kind.
    """
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UserError('--amp works with OptimWrapper, and the config has '
                        f'{wrapper}')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def enable_tta(cfg: Config) -> None:
    """Wrap model and pipeline for test-time augmentation, in place.

    Raises ValueError if the config does not define it.
    """
    for key in ('tta_model', 'tta_pipeline'):
        if key not in cfg:
            raise UserError(f'--tta needs {key} in the config')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
