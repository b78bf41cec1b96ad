"""The runner of ``tools/train.py`` and ``tools/test.py``."""
import atexit
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Union

import torch
from mmdet3d.registry import MODELS, OPTIMIZERS, RUNNERS, TRANSFORMS
from mmengine.dist import is_distributed, master_only
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn

from ..ops.random_state import keep_random_state
from ..store.checkpoint import CheckpointError, read_checkpoint
from ..store.errors import UserError, naming
from ..store.loading import LoadReport, load_encoder
from ..store.manifest import differences
from ..store.provenance import has_bfloat16
from ..store.state_names import extract_state_dict
from ..store.trained_settings import settings_of
from .amp import CPUAmpOptimWrapper
from .checkpoint import (RESUMABLE, find_newest_checkpoint, publish,
                         temporary_name)
from .console import file_only, install_console_filter, without_shell_messages
from .distributed import check_gpu_count, init_gloo, leave_process_group
from .hooks.feature_view import unwrapped

# Where schedulers end that have no end.
_ENDLESS = int(1e9)


@RUNNERS.register_module()
class PointRunner(Runner):
    """mmengine's runner, for CPU as well as GPU, with strict loading.

    - Distributed training works on CPU (gloo); SyncBatchNorm becomes
      BatchNorm there, and ``AmpOptimWrapper`` bfloat16 autocast.
    - Checkpoints are read weights-only. A tensor that is missing or of
      another shape is an error unless the config's ``allow_missing`` (names,
      prefixes or shell patterns) names it; resuming allows none.
    - Checkpoints are written under another name and renamed when complete;
      resuming takes the newest complete one.
    - The console shows what matters; the log file has everything.

    All other arguments are mmengine's.
    """

    load_report: Optional[LoadReport] = None

    def setup_env(self, env_cfg: Dict[str, Any]) -> None:
        """Set up the process group; its backend without a GPU is gloo."""
        if self.distributed and not is_distributed():
            if torch.cuda.is_available():
                check_gpu_count()
            else:
                timeout = env_cfg.get('dist_cfg', {}).get('timeout')
                init_gloo(self.launcher, timeout)
        super().setup_env(env_cfg)
        # Any program's run, mmdet3d's train.py too.
        atexit.register(leave_process_group)

    def set_randomness(self, *args: Any, **kwargs: Any) -> None:
        """Set the seed; a run that resumes takes that of its checkpoint.

        Sampler and model have been built with another one then.
        """
        super().set_randomness(*args, **kwargs)
        if not hasattr(self, 'model'):
            return
        self._follow_seed(unwrapped(self.model))
        sampler: Any = getattr(self.train_dataloader, 'sampler', None)
        if hasattr(sampler, 'seed') and not kwargs.get('diff_rank_seed'):
            sampler.seed = self.seed

    def build_model(self, model: Union[nn.Module, dict]) -> nn.Module:
        """Build the model; a pre-trainer's masks follow the run's seed."""
        return self._follow_seed(super().build_model(model))

    def _follow_seed(self, model: nn.Module) -> nn.Module:
        """Hand the seed to a model that has none of its own."""
        if getattr(model, 'follows_run_seed', False):
            model.seed = self.seed
        return model

    def _log_env(self, env_cfg: Dict[str, Any]) -> None:
        """Log the environment; a missing compiler is not worth a message."""
        with without_shell_messages():
            super()._log_env(env_cfg)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger; its console leaves out the page-long dumps."""
        logger = super().build_logger(*args, **kwargs)
        install_console_filter(logger)
        return logger

    def wrap_model(self, model_wrapper_cfg: Optional[dict],
                   model: nn.Module) -> nn.Module:
        """Wrap the model for several processes, on CPU without a device."""
        if not self.distributed or torch.cuda.is_available():
            return super().wrap_model(model_wrapper_cfg, model)
        if self.cfg.pop('sync_bn', None) or _has_sync_batchnorm(model):
            self.logger.info('SyncBatchNorm needs a GPU: each process '
                             'normalizes with plain BatchNorm')
            model = revert_sync_batchnorm(model)
        wrapper = dict(
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get('find_unused_parameters',
                                                False))
        wrapper.update(model_wrapper_cfg or {}, device_ids=None)
        return super().wrap_model(wrapper, model)

    def build_optim_wrapper(self, optim_wrapper: Any) -> OptimWrapper:
        """Build the optimizer; mixed precision on CPU is bfloat16."""
        if (isinstance(optim_wrapper, dict)
                and optim_wrapper.get('type') == 'AmpOptimWrapper'
                and not torch.cuda.is_available()):
            self.logger.info('mixed precision on the CPU: bfloat16')
            optim_wrapper = dict(optim_wrapper, type='CPUAmpOptimWrapper')
            for gpu_option in ('loss_scale', 'dtype', 'use_fsdp'):
                optim_wrapper.pop(gpu_option, None)
        if isinstance(optim_wrapper, OptimWrapper):  # built before resuming
            return optim_wrapper
        kind = (optim_wrapper.get('optimizer') or {}).get('type')
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            # mmengine asks for its signature without having found it.
            raise KeyError(f'{kind} is not in the mmdet3d::optimizer '
                           'registry. Please check it')
        wrapper = super().build_optim_wrapper(optim_wrapper)
        if isinstance(wrapper, CPUAmpOptimWrapper) and not has_bfloat16():
            self.logger.warning(
                'this processor has no bfloat16 arithmetic: a step may take '
                'ten times as long as without mixed precision')
        if isinstance(wrapper, OptimWrapper):
            wrapper.optimizer.step()  # without gradients: its settings only
        return wrapper

    def build_train_loop(self, loop: Any) -> BaseLoop:
        """Build the loop; one that never trains or validates is refused.

        Modules with a method ``use_metainfo`` get that of the training data,
        a pre-trainer the number of frames.

        Raises ValueError if a length or an interval is not an integer >= 1.
        """
        built = super().build_train_loop(loop)
        for name in ('max_epochs', 'max_iters', 'val_interval'):
            value = getattr(built, name, 1)
            if value < 1 or value != int(value):
                raise UserError(f'train_cfg.{name} is {value}; it must be an '
                                'integer >= 1')
        dataset = built.dataloader.dataset
        hand_over_metainfo(self.model, getattr(dataset, 'metainfo', {}))
        model: Any = unwrapped(self.model)
        if hasattr(model, 'total_frames'):
            model.total_frames = (
                built.max_iters * built.dataloader.batch_size *
                self.world_size)
        return built

    def register_default_hooks(self,
                               hooks: Optional[Dict[str, Any]] = None) -> None:
        """Register the default hooks and the summary of the run."""
        hooks = dict(hooks or {})
        hooks.setdefault('run_summary', dict(type='RunSummaryHook'))
        super().register_default_hooks(hooks)

    def register_hook(self,
                      hook: Union[Hook, Dict[str, Any]],
                      priority: Any = None) -> None:
        """Register a hook; mmengine's checkpoint hook gets its safe form."""
        if isinstance(hook, dict) and hook.get('type') == 'CheckpointHook':
            hook = dict(hook, type='SafeCheckpointHook')
        super().register_hook(hook, priority)

    def train(self) -> nn.Module:
        """Train, after the parts that run later have been built once."""
        with keep_random_state():
            self._build_test_parts()
        return super().train()

    def _build_test_parts(self) -> None:
        """Build what a test needs, so that its settings are checked now."""
        if self._test_loop is None:
            return
        self.build_test_loop(self._test_loop)
        if 'tta_model' in self.cfg:
            MODELS.build(dict(self.cfg.tta_model, module=self.model))
        for step in self.cfg.get('tta_pipeline', []):
            TRANSFORMS.build(step)

    def load_or_resume(self) -> None:
        """Load or resume; automatic resuming takes what is complete."""
        if self._resume and self._load_from is None and not self._has_loaded:
            self._load_from = find_newest_checkpoint(self.work_dir)
            self._resume = self._load_from is not None
            if not self._resume:
                self._load_from = self.cfg.get('start_from')
                self.logger.info(f'no checkpoint in {self.work_dir} to resume '
                                 'from: starting at the beginning')
        super().load_or_resume()
        self._check_schedule()
        if self._resume and self.iter >= self.max_iters:
            self.logger.info(f'nothing is left to train: step {self.iter} of '
                             f'{self.max_iters} is done')

    def _check_schedule(self) -> None:
        """Warn of a rate that falls in another time than the training takes.

        That of a resumed run is its checkpoint's.
        """
        schedulers: Any = self.param_schedulers or []
        if isinstance(schedulers, dict):
            schedulers = [s for group in schedulers.values() for s in group]
        falling = [
            s for s in schedulers
            if s.end < _ENDLESS and type(s).__name__.startswith((
                'CosineAnnealing', 'Poly'))
        ]
        last = max(falling, key=lambda s: s.end, default=None)
        if last is None:
            return
        unit, length = ('epoch',
                        self.max_epochs) if last.by_epoch else ('step',
                                                                self.max_iters)
        if length and last.end != length:
            self.logger.warning(
                f'the schedule of the learning rate ends at {unit} {last.end} '
                f'of {length}: set end and begin of param_scheduler to the '
                'length in train_cfg' +
                ', and train from the start, since a resumed run keeps its '
                'schedule' * bool(self._resume))

    def load_checkpoint(
            self,
            filename: str,
            map_location: Union[str, Callable] = 'cpu') -> Dict[str, Any]:
        """Load the complete model from a checkpoint, strictly.

        Raises CheckpointError if the file cannot be used or a tensor of the
        model is missing or mis-shaped.
        """
        checkpoint = read_checkpoint(filename, map_location)
        if self._resume and not RESUMABLE <= set(checkpoint):
            raise CheckpointError(
                f'{filename} holds weights only, so no training can resume '
                'from it; start from it with --cfg-options load_from=FILE')
        if self._resume:
            self._name_ignored_settings(checkpoint)
        checkpoint['state_dict'] = extract_state_dict(checkpoint, filename)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        self.load_report = load_encoder(
            unwrapped(self.model),
            checkpoint['state_dict'],
            allow_missing=() if self._resume else self.cfg.get(
                'allow_missing', ()),
            source=filename)
        unused = self.load_report.unexpected
        if unused:
            self.logger.info(f'{filename}: not used by the model: '
                             f'{self.load_report.unexpected_summary()}')
            self.logger.info('\n'.join(unused), **file_only())
        self._has_loaded = True
        return checkpoint

    def _name_ignored_settings(self, checkpoint: Dict[str, Any]) -> None:
        """Say what a resumed run keeps, although the config changed it."""
        old = _restored(settings_of(checkpoint))
        new = _restored(self.cfg.to_dict())
        changes = differences(old, new) if old['optimizer'] else []
        if changes:
            self.logger.warning(
                'resuming keeps optimizer and schedule of the checkpoint, so '
                f'{"; ".join(changes[:3])} has no effect; start a new run '
                'with load_from to change them')

    @master_only
    def save_checkpoint(self,
                        out_dir: str,
                        filename: str,
                        file_client_args: Optional[dict] = None,
                        **kwargs: Any) -> None:
        """Save a checkpoint that is complete or absent.

        Raises OSError if the disk is full or read-only; the file is named.
        """
        if '://' in str(out_dir) or file_client_args is not None:
            super().save_checkpoint(out_dir, filename, file_client_args,
                                    **kwargs)
            return
        meta = dict(kwargs.pop('meta', None) or {})
        meta.update(getattr(unwrapped(self.model), 'checkpoint_meta', {}))
        temporary = temporary_name(filename)
        try:
            with naming(Path(out_dir, filename), replace=True):
                super().save_checkpoint(
                    out_dir, temporary, meta=meta, **kwargs)
                publish(out_dir, filename)
        finally:
            with suppress(OSError):  # which would hide the first one
                Path(out_dir, temporary).unlink(missing_ok=True)


def _restored(settings: Dict[str, Any]) -> Dict[str, Any]:
    """What resuming takes from the checkpoint; lists for tuples, as JSON."""
    found = dict(
        optimizer=(settings.get('optim_wrapper') or {}).get('optimizer'),
        param_scheduler=settings.get('param_scheduler'))
    return json.loads(json.dumps(found, default=str))


def hand_over_metainfo(model: nn.Module, metainfo: dict) -> None:
    """Tell modules with a method ``use_metainfo`` what they train on."""
    for module in model.modules():
        use: Any = getattr(module, 'use_metainfo', None)
        if use is not None:
            use(metainfo)


def _has_sync_batchnorm(model: nn.Module) -> bool:
    """Whether a layer would need several GPUs."""
    return any('SyncBatchNorm' in type(m).__name__ for m in model.modules())
