# 2,400 steps, for the detector that converges most slowly.
_base_ = ['./overfit_1500.py']

param_scheduler = [_base_.warm_up, dict(_base_.cosine, T_max=2350, end=2400)]
train_cfg = dict(max_iters=2400, val_interval=2400)
