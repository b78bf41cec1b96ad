# Without the norm behind the embedding, and with the small position embedding
# of Bridge3D's initialization.
_base_ = ['../stage1_scannet.py']

model = dict(
    backbone=dict(
        embedding=dict(out_norm_cfg=None),
        encoder=dict(position_init='as_published')),
    decoder=dict(position_init='as_published'))
