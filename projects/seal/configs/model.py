_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='Seal',
    backbone=_base_.knn_encoder,
    projector=dict(type='PointProjector', out_channels=64),
    contrast=dict(type='InfoNCELoss', temperature=0.07, normalize=False),
    image_channels=768)
