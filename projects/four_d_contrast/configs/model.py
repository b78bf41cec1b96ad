_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='FourDContrast',
    num_views=4,
    backbone=_base_.knn_encoder,
    projector=dict(type='PointProjector'),
    temporal=dict(type='PlainPointTransformer', depth=2),
    contrast=dict(
        type='InfoNCELoss',
        temperature=0.07,
        symmetric=True,
        normalize=False,
        mean='sets'))
