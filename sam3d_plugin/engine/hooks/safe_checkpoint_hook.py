"""Checkpoint hook that saves before it removes."""
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List

from mmdet3d.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio.backends import BaseStorageBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..option_checks import arguments_of

# Hidden, so that no run resumes from one that a kill left behind.
_TRIAL_NAME = '.trial.pth'


class _LateRemovals:
    """A file backend that notes what to remove.

    Args:
        backend (BaseStorageBackend): Does everything else.
    """

    def __init__(self, backend: BaseStorageBackend) -> None:
        self.backend = backend
        self.removed: List[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        """Note the file."""
        self.removed.append(path)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Remove an old checkpoint only when the new one is complete.

    Takes the options of mmengine's ``CheckpointHook``, in whose place
    :class:`PointRunner` puts it. A run killed while it saves keeps the
    checkpoint before, also with ``max_keep_ckpts=1``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # mmengine keeps what it does not know until the first saving.
        for name in set(self.args) - set(arguments_of(Runner.save_checkpoint)):
            raise TypeError(f"unexpected keyword argument '{name}'")

    def before_train(self, runner: Runner) -> None:
        """Write a checkpoint and remove it: what fails, fails now."""
        super().before_train(runner)
        runner.save_checkpoint(
            self.out_dir,
            _TRIAL_NAME,
            file_client_args=self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            backend_args=self.backend_args,
            **self.args)
        if is_main_process():
            self.file_backend.remove(
                self.file_backend.join_path(self.out_dir, _TRIAL_NAME))

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: Dict[str, int]) -> None:
        with self._removing_last():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self._removing_last():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removing_last(self) -> Iterator[None]:
        """Keep every file until the block has succeeded."""
        backend = self.file_backend
        self.file_backend = late = _LateRemovals(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        # The file may have been written anew under the name of the old one.
        kept = {str(path) for path in self._current_checkpoints()}
        for path in late.removed:
            if str(path) not in kept and backend.isfile(path):
                backend.remove(path)

    def _current_checkpoints(self) -> List[Any]:
        """The files that this hook counts as its present ones."""
        best = getattr(self, 'best_ckpt_path', None)
        of_metrics = getattr(self, 'best_ckpt_path_dict', {})
        return [self.last_ckpt, best, *of_metrics.values()]
