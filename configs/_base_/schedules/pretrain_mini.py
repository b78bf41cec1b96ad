# 125 steps of 8 frames, so that a stage takes two cores a few minutes
# whatever the size of the data set.
_base_ = ['./pretrain.py']

param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=10),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=False,
        begin=10,
        end=125)
]
train_cfg = dict(max_epochs=None, max_iters=125)
auto_scale_lr = dict(base_batch_size=8)
