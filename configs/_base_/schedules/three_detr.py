# 3DETR's published schedule: 1,080 epochs (120 of a data set repeated 9
# times), 9 of them warm-up from 1e-6, then a cosine.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.1),
    clip_grad=dict(max_norm=0.1, norm_type=2))
warm_up = dict(
    type='LinearLR',
    start_factor=0.002,
    begin=0,
    end=1,
    by_epoch=True,
    convert_to_iter_based=True)
cosine = dict(
    type='CosineAnnealingLR',
    eta_min=1e-6,
    begin=1,
    end=120,
    by_epoch=True,
    convert_to_iter_based=True)
param_scheduler = [warm_up, cosine]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=120, val_interval=10)
val_cfg = dict(type='IndependentValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=8)
