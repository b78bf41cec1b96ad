# Both stages: AdamW, 10 epochs of warm-up, cosine to the end (the paper:
# optimizer, rate, decay, batch of 64, warm-up; ours: the number of epochs, the
# last rate, no decay on norms, biases and tokens).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        custom_keys=dict(mask_token=dict(decay_mult=0.))))
warm_up = dict(
    type='LinearLR',
    start_factor=1e-3,
    begin=0,
    end=10,
    by_epoch=True,
    convert_to_iter_based=True)
cosine = dict(
    type='CosineAnnealingLR',
    eta_min=1e-6,
    begin=10,
    end=120,
    by_epoch=True,
    convert_to_iter_based=True)
param_scheduler = [warm_up, cosine]
train_cfg = dict(type='ResumableTrainLoop', max_epochs=120)
auto_scale_lr = dict(enable=False, base_batch_size=64)
