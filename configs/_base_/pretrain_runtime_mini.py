# Logs and checkpoints of the pre-training configs for two CPU cores.
_base_ = ['./pretrain_runtime.py']

default_hooks = dict(
    logger=dict(interval=25, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=500))
log_processor = dict(window_size=25, by_epoch=False)
