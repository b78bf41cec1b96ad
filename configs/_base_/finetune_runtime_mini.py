# Logs and checkpoints of the fine-tuning configs for two CPU cores.
_base_ = ['./default_runtime.py']

default_hooks = dict(
    logger=dict(interval=25, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=250))
log_processor = dict(window_size=25, by_epoch=False)
