_base_ = ['../../../configs/_base_/models/point_encoder.py']

model = dict(
    type='MaskPoint',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    decoder=dict(type='CrossAttentionDecoder'),
    head=dict(type='OccupancyHead'),
    num_real=256,
    num_fake=256,
    mask_ratio=0.75)
