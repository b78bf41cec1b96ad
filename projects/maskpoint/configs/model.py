_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='MaskPoint',
    backbone=_base_.knn_encoder,
    decoder=dict(type='CrossAttentionDecoder'),
    head=dict(type='OccupancyHead'),
    num_real=256,
    num_fake=256,
    mask_ratio=0.75)
