_base_ = ['../../../configs/_base_/models/knn_encoder.py', './teacher.py']

model = dict(
    type='ACT',
    backbone=_base_.knn_encoder,
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=2)),
    head=dict(
        type='MaskedTokenHead',
        loss=dict(type='CosineLoss'),
        proj_channels=256),
    target_generator=dict(
        type='CrossModalTargets',
        modules=dict(
            encoder=_base_.code_encoder,
            codebook=_base_.codebook,
            decoder=_base_.decoder)),
    mask_ratio=0.8)
