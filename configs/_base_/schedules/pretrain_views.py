# Methods that see two views of a frame: an epoch is twice as many clouds, so
# there are half as many epochs, of half as many frames a step.
_base_ = ['./pretrain.py']

param_scheduler = [
    dict(_base_.warm_up, end=5),
    dict(_base_.cosine, begin=5, end=60),
]
train_cfg = dict(max_epochs=60)
auto_scale_lr = dict(base_batch_size=32)
