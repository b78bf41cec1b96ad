# The quickstart's segmentor, two minutes on one CPU core.
_base_ = ['./segmentor_synthrooms_mini.py']

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=False,
        begin=30,
        end=300)
]
train_cfg = dict(max_iters=300, val_interval=300)
