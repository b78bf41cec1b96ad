# Methods that see two views of a frame: an epoch is twice as many clouds, so
# there are half as many epochs, of half as many frames a step.
_base_ = ['./pretrain.py']

param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        begin=0,
        end=5,
        by_epoch=True,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        begin=5,
        end=60,
        by_epoch=True,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=60)
auto_scale_lr = dict(base_batch_size=32)
