# What watches a pre-training, beside the defaults.
_base_ = ['./default_runtime.py']

custom_hooks = [
    dict(type='StopOnInvalidLossHook'),
    dict(type='CollapseAlarmHook'),
    dict(type='DataWaitHook'),
    dict(type='TokenPictureHook', interval=10),
]
