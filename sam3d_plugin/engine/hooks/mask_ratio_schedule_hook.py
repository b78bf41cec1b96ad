"""Mask ratio schedule."""
import math
from typing import Optional

from mmdet3d.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...store.errors import UserError
from .feature_view import unwrapped

SHAPES = ('linear', 'cosine')


def scheduled_ratio(step: int, start: float, stop: float, begin: int, end: int,
                    shape: str) -> float:
    """Ratio of a step: ``start`` up to ``begin``, ``stop`` from ``end``.

    In between it is ``'linear'`` or ``'cosine'`` (``shape``).
    """
    if step >= end:
        return stop
    progress = max(step - begin, 0) / (end - begin)
    if shape == 'cosine':
        progress = (1 - math.cos(math.pi * progress)) / 2
    return start + (stop - start) * progress


@HOOKS.register_module()
class MaskRatioScheduleHook(Hook):
    """Set ``mask_ratio`` of the model before every step.

    The ratio follows from the number of the step alone, so a resumed run
    continues the schedule.

    Args:
        start (float): Ratio in the beginning, in [0, 1).
        stop (float): Ratio at the end, in [0, 1).
        begin (int): Step after which the ratio changes.
        end (Optional[int]): Step from which it is ``stop``; the last one of
            the training when None.
        shape (str): ``'linear'`` or ``'cosine'``.
    """

    def __init__(self,
                 start: float,
                 stop: float,
                 begin: int = 0,
                 end: Optional[int] = None,
                 shape: str = 'linear') -> None:
        for ratio in (start, stop):
            if not 0 <= ratio < 1:
                raise UserError(f'a mask ratio is {ratio}; it must be '
                                '>= 0 and < 1')
        if shape not in SHAPES:
            raise UserError(f'shape {shape!r} is unknown; choose one of '
                            f'{", ".join(SHAPES)}')
        if begin < 0 or (end is not None and end <= begin):
            raise UserError(f'the mask ratio must change from step {begin} '
                            f'to {end}; begin must be >= 0, and end '
                            'after it')
        self.start, self.stop = start, stop
        self.begin, self.end = begin, end
        self.shape = shape

    def before_train(self, runner: Runner) -> None:
        """Refuse a model that masks nothing.

        Raises ValueError when the model has no mask ratio.
        """
        model = unwrapped(runner.model)
        if not hasattr(model, 'mask_ratio'):
            raise UserError(f'{type(model).__name__} has no mask_ratio: '
                            'remove MaskRatioScheduleHook from custom_hooks')

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Optional[dict] = None) -> None:
        """Set the ratio of a step."""
        end = self.end
        if end is None:
            end = max(runner.max_iters - 1, self.begin + 1)
        unwrapped(runner.model).mask_ratio = scheduled_ratio(
            runner.iter, self.start, self.stop, self.begin, end, self.shape)
