_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='JEPA',
    backbone=_base_.knn_encoder,
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=2)),
    head=dict(
        type='MaskedTokenHead',
        proj_channels=256,
        loss=dict(
            type='DistillLoss',
            loss=dict(type='mmdet.SmoothL1Loss', beta=2.0, reduction='none'))),
    block_ratios=(0.15, 0.2),
    num_blocks=4,
    momentum=(0.996, 1.0))
