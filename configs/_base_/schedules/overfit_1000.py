# 1,000 steps, for the detector that converges fastest.
_base_ = ['./overfit_1500.py']

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=950,
        eta_min=1e-6,
        by_epoch=False,
        begin=50,
        end=1000)
]
train_cfg = dict(max_iters=1000, val_interval=1000)
