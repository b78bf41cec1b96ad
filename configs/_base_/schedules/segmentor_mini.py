# 1,800 steps, to overfit one scan on two CPU cores in under 30 minutes.
_base_ = ['./segmentor_30k.py']

optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.0005))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=False,
        begin=50,
        end=1800)
]
train_cfg = dict(max_iters=1800, val_interval=1800)
auto_scale_lr = dict(base_batch_size=1)
