# The autoencoder's parts that both stages name.
code_encoder = dict(type='GraphConvStack', out_channels=8192)
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
mini_code_encoder = dict(out_channels=64, hidden_dims=(64, 64, 128, 128, 256))
mini_codebook = dict(num_codes=64)
mini_decoder = dict(
    image=dict(
        transformer=dict(embed_dims=64, depth=2, num_heads=4), num_prompts=8),
    graph=dict(hidden_dims=(64, 64, 128, 128, 256)))
