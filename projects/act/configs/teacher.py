# The autoencoder's parts that both stages name; codes are Point-BERT's.
_base_ = ['../../point_bert/configs/codes.py']

codebook = dict(type='Codebook', num_codes=8192)
# ViT-B/16. Its weights: --cfg-options model.decoder.image.checkpoint=FILE
decoder = dict(
    type='CrossModalDecoder',
    image=dict(
        type='PromptedTransformer',
        transformer=dict(type='PlainVisionTransformer'),
        checkpoint=None),
    graph=dict(type='GraphConvStack'))
# For two CPU cores
mini_codebook = dict(num_codes=64)
mini_decoder = dict(
    image=dict(
        transformer=dict(embed_dims=64, depth=2, num_heads=4), num_prompts=8),
    graph=_base_.mini_graph)
