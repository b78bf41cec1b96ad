# Point-MAE on kNN tokens, with the encoder of configs/sam3d: a decoder of 4
# blocks and one linear layer rebuild the points of masked tokens.
_base_ = ['../../../configs/_base_/models/point_encoder.py']

num_neighbors = 128
model = dict(
    type='PointMAE',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(
            type='KNNTokenizer', num_tokens=256, num_neighbors=num_neighbors),
        embedding={{_base_.embedding}},
        encoder={{_base_.encoder}}),
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=4)),
    head=dict(type='NeighborhoodHead', num_neighbors=num_neighbors),
    target_generator=dict(type='NeighborhoodTargets'),
    mask_ratio=0.6)
