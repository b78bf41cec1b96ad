_base_ = ['../../../configs/_base_/models/point_encoder.py']

model = dict(
    type='PointMAE',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=4)),
    head=dict(type='NeighborhoodHead', num_neighbors=128),
    target_generator=dict(type='NeighborhoodTargets'),
    mask_ratio=0.6)
