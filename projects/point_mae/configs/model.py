_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='PointMAE',
    backbone=_base_.knn_encoder,
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=4)),
    head=dict(type='NeighborhoodHead', num_neighbors=128),
    target_generator=dict(type='NeighborhoodTargets'),
    mask_ratio=0.6)
