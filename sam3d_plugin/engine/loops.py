"""Loops that resume exactly and validate without side effects."""
import math
from typing import Dict, Optional, Union

from mmdet3d.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, Runner, ValLoop
from torch.utils.data import DataLoader

from ..ops.random_state import keep_random_state
from ..store.errors import UserError


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """Epochs, or a number of steps, resumed at the step where they stopped.

    mmengine's loops start the epoch again, or load all that has been seen.
    This one tells the sampler to skip it (``SeededSampler.skip``), so that a
    resumed run sees the frames that an unbroken one would.

    Args:
        runner (Runner): Runs it.
        dataloader (Union[DataLoader, dict]): Of the training.
        max_epochs (Optional[int]): Epochs to train.
        max_iters (Optional[int]): Steps to train, instead of ``max_epochs``.
        val_begin (int): First epoch that is validated.
        val_interval (int): Epochs between validations.

    Raises:
        ValueError: Unless one of both lengths is given, and when there are
            fewer samples than one batch takes.
    """

    def __init__(self,
                 runner: Runner,
                 dataloader: Union[DataLoader, dict],
                 max_epochs: Optional[int] = None,
                 max_iters: Optional[int] = None,
                 val_begin: int = 1,
                 val_interval: int = 1) -> None:
        if (max_epochs is None) == (max_iters is None):
            raise UserError('train_cfg of ResumableTrainLoop takes either '
                            'max_epochs or max_iters')
        super().__init__(runner, dataloader, max_epochs or 0, val_begin,
                         val_interval)
        steps = len(self.dataloader)
        if steps == 0:
            raise UserError(
                f'the training set has {len(self.dataloader.dataset)} '
                'samples, fewer than one batch takes: lower '
                'train_dataloader.batch_size')
        self.counts_steps = max_iters is not None
        if max_iters is not None:
            self._max_epochs = math.ceil(max_iters / steps)
            self._max_iters = max_iters

    def run(self) -> None:
        """Train from the step on that was reached."""
        # A checkpoint of an epoch's last step names that epoch, not the next.
        self._epoch = max(self._epoch, self._iter // len(self.dataloader))
        super().run()

    def run_epoch(self) -> None:
        """Train an epoch, or what is left of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        begin = self._iter - self._epoch * len(self.dataloader)
        if begin > 0:
            self.dataloader.sampler.skip(begin * self.dataloader.batch_size)
        # As mmengine's loops: of the epoch, or of a run counted in steps, so
        # that one of short epochs is logged, too.
        first = self._iter if self.counts_steps else max(begin, 0)
        for idx, batch in enumerate(self.dataloader, start=first):
            self.run_iter(idx, batch)
            if self._iter >= self._max_iters:
                break
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class IndependentValLoop(ValLoop):
    """``ValLoop`` that leaves the random numbers of the training alone.

    Loaders draw a seed for their workers, and pipelines sample points. With
    mmengine's loop, training continues differently after a validation.
    """

    def run(self) -> Dict[str, float]:
        """Validate, then restore every generator that training draws from."""
        device = next(self.runner.model.parameters()).device
        with keep_random_state(device):
            return super().run()
