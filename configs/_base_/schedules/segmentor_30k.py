# 30,000 steps of 8 scans: about 200 epochs of ScanNet's 1,201. The encoder's
# own rate: optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=10, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.0))))
warm_up = dict(
    type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1500)
cosine = dict(
    type='CosineAnnealingLR',
    eta_min=1e-6,
    by_epoch=False,
    begin=1500,
    end=30000)
param_scheduler = [warm_up, cosine]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=30000, val_interval=3000)
val_cfg = dict(type='IndependentValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=8)
