# Groups of image features stand for classes: no tool of this repository makes
# text features.
_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='CLIP2Scene',
    backbone=_base_.knn_encoder,
    head=dict(type='ClassAgreementHead', out_channels=768),
    num_points=4096,
    target_generator=dict(
        type='PointClassTargets', groups='data/scannet/region_groups/train'))
