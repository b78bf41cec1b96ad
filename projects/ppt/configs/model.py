# Random vectors stand for text: no tool of this repository makes text
# features. Configs add the classes of their data sets as domains.
_base_ = ['../../../configs/_base_/models/point_encoder.py']

model = dict(
    type='PPT',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    head=dict(type='TextAlignedSegHead', class_embeddings='random'),
    num_points=4096)
