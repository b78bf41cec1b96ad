# point_encoder.py on the tokens of methods that read no regions.
_base_ = ['./point_encoder.py']

knn_encoder = dict(
    type='TokenEncoder',
    tokenizer=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128),
    embedding=_base_.embedding,
    encoder=_base_.encoder)
