"""Alarm when tokens become more alike than those of an untrained encoder."""
import copy
from typing import Any, Optional

import numpy as np
import torch
import torch.nn.functional as F
from mmdet3d.registry import HOOKS, MODELS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from ...ops.random_state import seeded
from ...store.errors import UserError
from .feature_view import unwrapped, view_features

# Looks in a row with a low spread before there is an alarm.
LOOKS = 3


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


def untrained_twin(model: Any, backbone: dict) -> Any:
    """The model with a backbone that has learned nothing.

    Args:
        model (Any): A ``BasePretrainer``. The twin shares all of its parts
            but the backbone, and it stays as it is.
        backbone (dict): Config of its backbone. Weights that it names are
            not read; those of the twin are always the same.

    Returns:
        Any: The twin.
    """
    with seeded(0):
        fresh = MODELS.build(_without_weights(backbone))
        fresh._dump_init_info = lambda: None  # hundreds of lines in the log
        fresh.init_weights()
    # A copy knows its device and the columns of the points.
    untrained = copy.deepcopy(model.backbone)
    untrained.load_state_dict(fresh.state_dict())
    twin = copy.copy(model)
    twin._modules = dict(model._modules, backbone=untrained)
    return twin


def _without_weights(config: Any) -> Any:
    """The config of a module and its parts without files of weights."""
    if not isinstance(config, dict):
        return config
    return {
        key: _without_weights(value)
        for key, value in config.items()
        if key != 'init_cfg' or 'Pretrained' not in str(value)
    }


@HOOKS.register_module()
class CollapseAlarmHook(Hook):
    """Log the spread of token features and predictions, warn when it is low.

    A batch has a few frames, so one look is noisy: 10 of 27 sound trainings
    had a look below the untrained encoder, none had three in a row
    (docs/results/log.md). Looks are counted in the message hub, which
    checkpoints keep.

    Every ``interval`` steps the first process looks at the step's batch, and
    compares the tokens with those that an untrained encoder of the same
    config makes of it. It draws no random number, so training and resuming
    are the same with it.

    Both encoders are looked at in eval mode, as probes do. The statistics of
    batch norm are then those that the student has gathered, and mean 0 and
    variance 1 in the untrained encoder. With the statistics of the batch
    instead, the untrained tokens spread wider than those of every healthy
    training on SynthRooms (0.80 against 0.66 after stage 1, with a norm
    behind the embedding and the default start of positions; in eval mode
    0.58 against 0.64, and 0.43 for a fresh student of stage 2 on plain
    targets, which had lost what a probe reads). With the published start of
    positions, untrained tokens spread by 0.10 only: there the alarm notices
    nothing but a complete collapse.

    Args:
        interval (int): Steps between looks.
        begin (int): First step that may warn, where a short stage ends:
            tokens learn what all targets have in common first, then where
            they differ.
    """

    def __init__(self, interval: int = 100, begin: int = 500) -> None:
        self.interval = interval
        self.begin = begin

    def before_train(self, runner: Runner) -> None:
        """Refuse a run that does not say what its encoder is.

        Raises UserError when its config has no ``model.backbone``.
        """
        if 'backbone' not in runner.cfg.get('model', {}):
            raise UserError('CollapseAlarmHook builds an untrained encoder: '
                            'give the runner a config with model.backbone, '
                            'or remove the hook from custom_hooks')

    @master_only
    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Look at the tokens of the step's batch."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        model, batch = unwrapped(runner.model), data_batch or {}
        view = view_features(model, batch)
        untrained = view_features(
            untrained_twin(model, runner.cfg.model['backbone']), batch)
        spreads = dict(
            features=token_spread(view.features, view.is_place),
            untrained=token_spread(untrained.features, untrained.is_place))
        if view.predictions is not None:
            spreads['predictions'] = token_spread(*view.predictions)
        for name, spread in spreads.items():
            if torch.isfinite(spread):
                runner.message_hub.update_scalar(f'train/spread_{name}',
                                                 float(spread))
        found, expected = (
            self._looks(runner, name) for name in ('features', 'untrained'))
        is_low = len(found) == LOOKS and bool((found < expected).all())
        if is_low and runner.iter + 1 >= self.begin:
            runner.logger.warning(
                f'collapse: at step {runner.iter + 1} tokens spread '
                f'{found[-1]:.3f}, those of an untrained encoder '
                f'{expected[-1]:.3f}: '
                'whiten the targets and start the student as its teacher '
                '(stage2_ours configs), or lower the learning rate')

    @staticmethod
    def _looks(runner: Runner, name: str) -> np.ndarray:
        """(L,) the last spreads of a kind, at most ``LOOKS``."""
        scalars = runner.message_hub.log_scalars
        history = scalars.get(f'train/spread_{name}')
        return np.empty(0) if history is None else history.data[0][-LOOKS:]
