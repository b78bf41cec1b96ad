_base_ = ['../../../configs/_base_/models/point_encoder.py', './codes.py']

model = dict(
    type='DiscreteVAE',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.code_encoder}}),
    codebook=dict(type='Codebook', num_codes=8192),
    decoder=dict(type='GraphConvStack'),
    head=dict(type='FoldingHead', num_neighbors=128),
    target_generator=dict(type='NeighborhoodTargets'))
