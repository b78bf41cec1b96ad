_base_ = ['../../../configs/_base_/models/point_encoder.py']

model = dict(
    type='FourDContrast',
    num_views=4,
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    projector=dict(type='PointProjector'),
    temporal=dict(type='PlainPointTransformer', depth=2),
    contrast=dict(
        type='InfoNCELoss',
        temperature=0.07,
        symmetric=True,
        normalize=False,
        mean='sets'))
