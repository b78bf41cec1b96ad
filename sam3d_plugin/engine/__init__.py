"""Running: importing this package registers runner, hooks and initializer."""
from .amp import CPUAmpOptimWrapper
from .hooks import RunSummaryHook, SafeCheckpointHook
from .pretrained import Pretrained
from .runner import PointRunner

__all__ = [
    'CPUAmpOptimWrapper', 'PointRunner', 'Pretrained', 'RunSummaryHook',
    'SafeCheckpointHook'
]
