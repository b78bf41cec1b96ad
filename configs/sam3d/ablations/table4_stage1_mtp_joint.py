# Stage 1 with masked token prediction in the same stage.
_base_ = ['../stage1_scannet.py']

model = dict(
    type='MaskedRegionDistillPretrainer',
    decoder=dict(
        _delete_=True,
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=2)),
    mask_ratio=0.6)
