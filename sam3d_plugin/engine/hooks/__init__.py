"""Hooks: one event, one action."""
from .run_summary_hook import RunSummaryHook
from .safe_checkpoint_hook import SafeCheckpointHook

__all__ = ['RunSummaryHook', 'SafeCheckpointHook']
