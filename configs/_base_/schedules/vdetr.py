# V-DETR's published schedule: 540 epochs (60 of a data set repeated 9 times)
# at 7e-4, on 8 GPUs with a scene each. Warm-up and cosine are 3DETR's.
_base_ = ['./three_detr.py']

optim_wrapper = dict(optimizer=dict(lr=7e-4))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1 / 700,
        begin=0,
        end=1,
        by_epoch=True,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        begin=1,
        end=60,
        by_epoch=True,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=60)
