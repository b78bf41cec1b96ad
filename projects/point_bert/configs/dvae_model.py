_base_ = ['../../../configs/_base_/models/knn_encoder.py', './codes.py']

model = dict(
    type='DiscreteVAE',
    backbone=dict(_base_.knn_encoder, encoder=_base_.code_encoder),
    codebook=dict(type='Codebook', num_codes=8192),
    decoder=dict(type='GraphConvStack'),
    head=dict(type='FoldingHead', num_neighbors=128),
    target_generator=dict(type='NeighborhoodTargets'))
