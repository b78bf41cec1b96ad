# The detector that comes with the project (tools/experiments/release.py).
_base_ = ['./votenet_synthrooms_mini_knn.py']

train_dataloader = dict(batch_size=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        T_max=4900,
        eta_min=1e-6,
        by_epoch=False,
        begin=100,
        end=5000)
]
train_cfg = dict(max_iters=5000, val_interval=5000)
