# VoteNet with PViT-S, whose 2,500 tokens of 40,000 points are the seeds.
_base_ = ['../../../configs/sam3d/votenet_scannet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='PViTBackbone',
        embedding=dict(type='ProgressivePatchEmbed'),
        transformer=dict(
            type='PlainVisionTransformer',
            embed_dims=384,
            depth=12,
            num_heads=6,
            drop_path=0.1),
        checkpoint=None,
        out_channels=256))
# 1e-4: mmdet3d's 0.008 is for layers of VoteNet.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.0125))))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.pix4point'], allow_failed_imports=False)
