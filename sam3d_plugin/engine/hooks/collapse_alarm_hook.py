"""Alarm when all tokens become alike."""
from typing import Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from .feature_view import unwrapped, view_features


def token_spread(features: Tensor, is_counted: Tensor) -> Tensor:
    """Standard deviation of the directions of a frame's tokens (B, G, C).

    Features are scaled to length 1; their variances over the counted tokens
    (B, G) are summed over channels, so the width of the features does not
    matter. From 0, all tokens of a frame alike, to 1, their directions cancel
    out; mean over the frames with two tokens or more, NaN when there is none.
    """
    unit = F.normalize(features.double(), dim=-1)
    counted = is_counted[..., None]
    count = counted.sum(1, keepdim=True)
    unit = unit.masked_fill(~counted, 0)
    mean = unit.sum(1, keepdim=True) / count.clamp(min=1)
    squares = (unit - mean).masked_fill(~counted, 0).square().sum((1, 2))
    spread = (squares / count.flatten().clamp(min=1)).sqrt()
    return spread[count.flatten() > 1].mean().float()


@HOOKS.register_module()
class CollapseAlarmHook(Hook):
    """Log the spread of token features and predictions, warn when it is low.

    It looks at the step's batch in eval mode, every ``interval`` steps, in
    the first process. It keeps no state and draws no random number, so
    training and resuming are the same with it.

    Args:
        interval (int): Steps between looks.
        threshold (float): Warn below this spread, see :func:`token_spread`.
        begin (int): Steps without a warning of a low spread: tokens learn what
            all targets have in common first, then where they differ.
    """

    def __init__(self,
                 interval: int = 100,
                 threshold: float = 0.01,
                 begin: int = 500) -> None:
        self.interval = interval
        self.threshold = threshold
        self.begin = begin

    @master_only
    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Look at the tokens of the step's batch."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        view = view_features(unwrapped(runner.model), data_batch or {})
        spreads = dict(features=token_spread(view.features, view.is_place))
        if view.predictions is not None:
            spreads['predictions'] = token_spread(*view.predictions)
        for name, spread in spreads.items():
            if torch.isfinite(spread):
                runner.message_hub.update_scalar(f'train/spread_{name}',
                                                 float(spread))
        if runner.iter < self.begin:
            return
        if any(spread < self.threshold for spread in spreads.values()):
            found = ' and of '.join(f'{name} is {spread:.3f}'
                                    for name, spread in spreads.items())
            runner.logger.warning(
                f'collapse: at step {runner.iter + 1} the spread of token '
                f'{found}, where 0 means that all tokens of a frame are '
                f'alike; one is below {self.threshold:g}: look at the token '
                'pictures and the targets, or lower the learning rate')
