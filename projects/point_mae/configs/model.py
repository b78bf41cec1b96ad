# Point-MAE on kNN tokens, with the encoder of configs/sam3d: a decoder of 4
# blocks and one linear layer rebuild the points of masked tokens.
num_neighbors = 128
model = dict(
    type='PointMAE',
    tokenizer=dict(
        type='KNNTokenizer', num_tokens=256, num_neighbors=num_neighbors),
    embedding=dict(type='PointPatchEmbed'),
    encoder=dict(type='PlainPointTransformer', depth=3, drop_path=0.1),
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=4,
                         drop_path=0.1)),
    head=dict(type='NeighborhoodHead', num_neighbors=num_neighbors),
    target_generator=dict(type='NeighborhoodTargets'),
    mask_ratio=0.6)
