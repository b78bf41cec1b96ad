# 1,500 steps that overfit one scene in about 25 minutes on two CPU cores:
# AdamW at 1e-3 with a cosine to the end, clip 10.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.001, weight_decay=0.0005),
    clip_grad=dict(max_norm=10, norm_type=2))
warm_up = dict(
    type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50)
cosine = dict(
    type='CosineAnnealingLR',
    T_max=1450,
    eta_min=1e-6,
    by_epoch=False,
    begin=50,
    end=1500)
param_scheduler = [warm_up, cosine]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1500, val_interval=1500)
val_cfg = dict(type='IndependentValLoop')
test_cfg = dict(type='TestLoop')
