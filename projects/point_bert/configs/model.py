_base_ = ['../../../configs/_base_/models/knn_encoder.py', './codes.py']

model = dict(
    type='PointBERT',
    backbone=_base_.knn_encoder,
    target_generator=dict(
        type='CodeTargets', modules=dict(encoder=_base_.code_encoder)))
