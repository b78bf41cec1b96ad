_base_ = ['../../../configs/_base_/models/point_encoder.py']

model = dict(
    type='Sonata',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    head=dict(type='PrototypeHead', num_prototypes=1024),
    match_radius=0.2)
