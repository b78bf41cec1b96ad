_base_ = ['../../../configs/_base_/models/point_encoder.py']

model = dict(
    type='Seal',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    projector=dict(type='PointProjector', out_channels=64),
    contrast=dict(type='InfoNCELoss', temperature=0.07, normalize=False),
    image_channels=768)
