_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='DepthContrast',
    backbone=_base_.knn_encoder,
    projector=dict(type='GlobalProjector', out_channels=128, pool='max'),
    contrast=dict(type='InfoNCELoss', temperature=0.1),
    queue_size=16384,
    momentum=0.999)
