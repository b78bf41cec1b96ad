"""Hooks: one event, one action."""
from .collapse_alarm_hook import CollapseAlarmHook
from .data_wait_hook import DataWaitHook
from .mask_ratio_schedule_hook import MaskRatioScheduleHook
from .run_summary_hook import RunSummaryHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .stop_on_invalid_loss_hook import StopOnInvalidLossHook
from .token_picture_hook import TokenPictureHook

__all__ = [
    'CollapseAlarmHook', 'DataWaitHook', 'MaskRatioScheduleHook',
    'RunSummaryHook', 'SafeCheckpointHook', 'StopOnInvalidLossHook',
    'TokenPictureHook'
]
