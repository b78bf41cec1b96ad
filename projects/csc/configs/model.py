_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='CSC',
    backbone=_base_.knn_encoder,
    projector=dict(type='PointProjector'),
    pair_loss=dict(type='PartitionedInfoNCELoss'))
