# 2,400 steps, for the detector that converges most slowly.
_base_ = ['./overfit_1500.py']

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=2350,
        eta_min=1e-6,
        by_epoch=False,
        begin=50,
        end=2400)
]
train_cfg = dict(max_iters=2400, val_interval=2400)
