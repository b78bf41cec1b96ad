# GroupFree3D's published SUN RGB-D schedule: 600 epochs (120 of a data set
# repeated 5 times), decay at 420, 480 and 540, decoder at a twentieth of the
# rate.
_base_ = ['./groupfree3d.py']

optim_wrapper = dict(
    optimizer=dict(lr=0.004, weight_decay=1e-8),
    paramwise_cfg=dict(
        custom_keys={
            'bbox_head.decoder_layers': dict(lr_mult=0.05),
            'bbox_head.decoder_self_posembeds': dict(lr_mult=0.05),
            'bbox_head.decoder_cross_posembeds': dict(lr_mult=0.05),
            'bbox_head.decoder_query_proj': dict(lr_mult=0.05),
            'bbox_head.decoder_key_proj': dict(lr_mult=0.05)
        }))
param_scheduler = [
    dict(
        type='MultiStepLR',
        begin=0,
        end=120,
        by_epoch=True,
        milestones=[84, 96, 108],
        gamma=0.1)
]
train_cfg = dict(max_epochs=120)
