# 400 steps of one scene, sized for about three minutes on two CPU cores (not
# measured yet).
_base_ = ['./overfit_1500.py']

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=350,
        eta_min=1e-6,
        by_epoch=False,
        begin=50,
        end=400)
]
train_cfg = dict(max_iters=400, val_interval=400)
