"""Running: importing this package registers runner, hooks and initializer."""
from .amp import CPUAmpOptimWrapper
from .hooks import (CollapseAlarmHook, GroupWeightsCheckHook,
                    MaskRatioScheduleHook, RunSummaryHook, SafeCheckpointHook,
                    StopOnInvalidLossHook, TokenPictureHook)
from .layer_decay import LayerDecayOptimWrapperConstructor
from .loops import ResumableTrainLoop
from .pretrained import Pretrained
from .runner import PointRunner

__all__ = [
    'CPUAmpOptimWrapper', 'CollapseAlarmHook', 'GroupWeightsCheckHook',
    'LayerDecayOptimWrapperConstructor', 'MaskRatioScheduleHook',
    'PointRunner', 'Pretrained', 'ResumableTrainLoop', 'RunSummaryHook',
    'SafeCheckpointHook', 'StopOnInvalidLossHook', 'TokenPictureHook'
]
