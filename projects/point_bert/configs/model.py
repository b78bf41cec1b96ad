_base_ = ['../../../configs/_base_/models/point_encoder.py', './codes.py']

model = dict(
    type='PointBERT',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    target_generator=dict(
        type='CodeTargets', modules=dict(encoder={{_base_.code_encoder}})))
