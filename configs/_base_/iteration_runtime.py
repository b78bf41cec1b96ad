# For runs that are counted in steps, not in epochs.
_base_ = ['./default_runtime.py']

default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=3000))
log_processor = dict(by_epoch=False)
