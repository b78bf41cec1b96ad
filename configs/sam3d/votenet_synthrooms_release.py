# The detector that comes with the project (tools/experiments/release.py).
_base_ = ['./votenet_synthrooms_mini_knn.py']

train_dataloader = dict(batch_size=2)
param_scheduler = [
    dict(_base_.warm_up, end=100),
    dict(_base_.cosine, T_max=4900, begin=100, end=5000),
]
train_cfg = dict(max_iters=5000, val_interval=5000)
