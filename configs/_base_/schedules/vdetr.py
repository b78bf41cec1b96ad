# V-DETR's published schedule: 540 epochs (60 of a data set repeated 9 times)
# at 7e-4, on 8 GPUs with a scene each. Warm-up and cosine are 3DETR's.
_base_ = ['./three_detr.py']

optim_wrapper = dict(optimizer=dict(lr=7e-4))
param_scheduler = [
    dict(_base_.warm_up, start_factor=1 / 700),
    dict(_base_.cosine, end=60),
]
train_cfg = dict(max_epochs=60)
