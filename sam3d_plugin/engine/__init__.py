"""Importing this package registers runner, loops and hooks."""
from ..libraries import prepare_libraries
from .amp import CPUAmpOptimWrapper
from .hooks import (CollapseAlarmHook, MaskRatioScheduleHook, RunSummaryHook,
                    SafeCheckpointHook, StopOnInvalidLossHook,
                    TokenPictureHook)
from .layer_decay import LayerDecayOptimWrapperConstructor
from .loops import IndependentValLoop, ResumableTrainLoop
from .runner import PointRunner
from .scan_visualizer import ScanVisualizer

__all__ = [
    'CPUAmpOptimWrapper', 'CollapseAlarmHook', 'IndependentValLoop',
    'LayerDecayOptimWrapperConstructor', 'MaskRatioScheduleHook',
    'PointRunner', 'ResumableTrainLoop', 'RunSummaryHook',
    'SafeCheckpointHook', 'ScanVisualizer', 'StopOnInvalidLossHook',
    'TokenPictureHook'
]

prepare_libraries()
