_base_ = ['../../../configs/_base_/models/knn_encoder.py', './teacher.py']

model = dict(
    type='CrossModalVAE',
    backbone=dict(_base_.knn_encoder, encoder=_base_.code_encoder),
    codebook=_base_.codebook,
    decoder=_base_.decoder,
    head=dict(type='FoldingHead', num_neighbors=128),
    target_generator=dict(type='NeighborhoodTargets'))
