_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='PointContrast',
    backbone=_base_.knn_encoder,
    projector=dict(type='PointProjector'),
    pair_loss=dict(type='InfoNCELoss', temperature=0.4, normalize=False))
