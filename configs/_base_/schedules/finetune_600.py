# 600 steps. Of one scene of 10,000 points, they take VoteNet five minutes on
# one core, about three on two.
_base_ = ['./overfit_1500.py']

param_scheduler = [_base_.warm_up, dict(_base_.cosine, T_max=550, end=600)]
train_cfg = dict(max_iters=600, val_interval=600)
