_base_ = ['../../../configs/_base_/models/point_encoder.py']

model = dict(
    type='CSC',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    projector=dict(type='PointProjector'),
    pair_loss=dict(type='PartitionedInfoNCELoss'))
