# The encoder of every config: 3 blocks of 256 channels on 256-d tokens. A
# checkpoint of one config loads in all others.
embedding = dict(type='PointPatchEmbed')
encoder = dict(type='PlainPointTransformer')
