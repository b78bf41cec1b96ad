_base_ = ['../../../configs/_base_/models/point_encoder.py']

model = dict(
    type='DepthContrast',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    projector=dict(type='GlobalProjector', out_channels=128, pool='max'),
    contrast=dict(type='InfoNCELoss', temperature=0.1),
    queue_size=16384,
    momentum=0.999)
