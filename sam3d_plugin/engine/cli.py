"""What ``tools/train.py`` and ``tools/test.py`` have in common."""
import argparse
import gc
import sys
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, List

from mmdet3d.registry import MODELS, RUNNERS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import distributed as dist

from ..datasets.frame_preflight import check_frame_loader
from ..datasets.preflight import SceneLimits, check_datasets
from ..store.checkpoint import read_checkpoint
from .compatibility import check_query_count
from .console import file_only, warnings_in_log_file
from .errors import explain
from .export import settings_of
from .options import SettingAction

# Detectors whose targets are laid out for this many boxes a scene.
_MAX_BOXES = {'VoteNet': 64, 'GroupFree3DNet': 64}


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both tools take.

    Args:
        parser (argparse.ArgumentParser): Receives them.
    """
    parser.add_argument(
        '--work-dir',
        help='where logs and checkpoints go (default: '
        'work_dirs/CONFIG)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=SettingAction,
        default={},
        help='settings over those of the config, as key=value; data_root='
        'PATH moves everything that lies in the old data root, teacher=FILE '
        'names the stage-1 checkpoint that stage 2 predicts')
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


def build_runner(cfg: Config, loaders: List[str]) -> Runner:
    """Check the data, then build the runner.

    Args:
        cfg (Config): The whole configuration.
        loaders (List[str]): Names of the dataloaders that will be read.

    Returns:
        Runner: Ready to train or test.
    """
    datasets = [cfg[name]['dataset'] for name in loaders if cfg.get(name)]
    check_datasets(datasets, scene_limits(cfg.model))
    if 'train_dataloader' in loaders:
        check_frame_loader(cfg.train_dataloader)
    check_teacher(cfg.model)
    check_query_count(cfg.model)
    return RUNNERS.build(cfg)


def scene_limits(model: Dict[str, Any]) -> SceneLimits:
    """Say what a model asks of every scene.

    Args:
        model (Dict[str, Any]): Its config.

    Returns:
        SceneLimits: No limits for what another package defines.
    """
    # inside the wrapper for test-time augmentation
    model = model.get('module', model)
    max_boxes = _MAX_BOXES.get(str(model.get('type')).split('.')[-1])
    tokenizer = (model.get('backbone') or {}).get('tokenizer')
    if tokenizer is None:
        return SceneLimits(max_boxes)
    built = MODELS.build(tokenizer)
    return SceneLimits(max_boxes, built.points_needed, built.uses_regions)


def check_teacher(model: Dict[str, Any]) -> None:
    """Refuse to start stage 2 without its stage 1.

    Args:
        model (Dict[str, Any]): Its config.

    Raises:
        FileNotFoundError: When the teacher's file is missing.
        ValueError: When it was trained with another tokenizer.
    """
    targets = model.get('target_generator') or {}
    teacher = str(targets.get('checkpoint') or '')
    if not teacher or '://' in teacher:
        return
    if not Path(teacher).is_file():
        raise FileNotFoundError(
            f'teacher {teacher} is missing: train stage 1 first, or name its '
            'checkpoint with --cfg-options teacher=FILE')
    trained = settings_of(read_checkpoint(teacher)).get('model') or {}
    theirs = (trained.get('tokenizer') or {}).get('type')
    if theirs and theirs != model['tokenizer']['type']:
        raise ValueError(
            f'teacher {teacher} was trained with {theirs}, the student has '
            f'{model["tokenizer"]["type"]}, and both see the same tokens: '
            'name the teacher or the tokenizer that belongs to the other')


def run_tool(main: Callable[[argparse.Namespace], None],
             args: argparse.Namespace) -> int:
    """Run a tool and turn the errors it foresees into one sentence.

    Args:
        main (Callable[[argparse.Namespace], None]): The tool.
        args (argparse.Namespace): Its options; ``traceback`` shows errors in
            full.

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
        if isinstance(error, KeyboardInterrupt) and hasattr(args, 'resume'):
            sentence += '; continue with --resume'
        print(f'error: {sentence}', file=sys.stderr)
        return 130 if isinstance(error, KeyboardInterrupt) else 2
    finally:
        leave_process_group()
    return 0


def leave_process_group() -> None:
    """End the process group, if there is one, in this order on purpose.

    gloo's threads abort the process when they outlive the group, which a
    wrapped model keeps alive until it is collected.
    """
    if dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()
