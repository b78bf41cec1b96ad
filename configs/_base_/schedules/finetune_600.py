# 600 steps. Of one scene of 10,000 points, they take VoteNet five minutes on
# one core, about three on two.
_base_ = ['./overfit_1500.py']

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=550,
        eta_min=1e-6,
        by_epoch=False,
        begin=50,
        end=600)
]
train_cfg = dict(max_iters=600, val_interval=600)
