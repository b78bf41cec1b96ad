_base_ = ['../../../configs/_base_/models/point_encoder.py', './teacher.py']

model = dict(
    type='CrossModalVAE',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.code_encoder}}),
    codebook={{_base_.codebook}},
    decoder={{_base_.decoder}},
    head=dict(type='FoldingHead', num_neighbors=128),
    target_generator=dict(type='NeighborhoodTargets'))
