# Two CPU cores, a few minutes.
_base_ = ['../../../configs/sam3d/votenet_synthrooms_mini.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='PViTBackbone',
        embedding=dict(type='ProgressivePatchEmbed', channels=(32, 64)),
        transformer=dict(
            type='PlainVisionTransformer',
            embed_dims=64,
            depth=2,
            num_heads=2,
            drop_path=0.1),
        checkpoint=None,
        out_channels=256))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.pix4point'], allow_failed_imports=False)
