# The encoder of every config: 3 blocks of 256 channels on 256-d tokens. A
# checkpoint of one config loads in all others. The norm behind the embedding
# is ours; ablations/stage1_as_published.py goes without.
embedding = dict(type='PointPatchEmbed', out_norm_cfg=dict(type='BN1d'))
encoder = dict(type='PlainPointTransformer')
