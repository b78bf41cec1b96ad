# GroupFree3D's published ScanNet schedule: 400 epochs (80 of a data set
# repeated 5 times), decay at 280 and 340, decoder at a tenth of the rate.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.006, weight_decay=0.0005),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(
        custom_keys={
            'bbox_head.decoder_layers': dict(lr_mult=0.1),
            'bbox_head.decoder_self_posembeds': dict(lr_mult=0.1),
            'bbox_head.decoder_cross_posembeds': dict(lr_mult=0.1),
            'bbox_head.decoder_query_proj': dict(lr_mult=0.1),
            'bbox_head.decoder_key_proj': dict(lr_mult=0.1)
        }))
param_scheduler = [
    dict(
        type='MultiStepLR',
        begin=0,
        end=80,
        by_epoch=True,
        milestones=[56, 68],
        gamma=0.1)
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=80, val_interval=1)
val_cfg = dict(type='IndependentValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=32)
