# 3DETR-m as published: attention within radii, half of the tokens after the
# first layer. The radii are metres: the released code compares distances with
# the squares of 0.4, 0.8 and 1.2, and has its figures with that.
_base_ = ['./three_detr_scannet_vanilla.py']

model = dict(
    backbone=dict(
        encoder=dict(
            radii=[0.16, 0.64, 1.44],
            downsample=dict(
                num_point=1024,
                radius=0.4,
                num_sample=32,
                mlp_channels=[256, 256, 256, 256],
                use_xyz=True,
                normalize_xyz=True))),
    bbox_head=dict(projection_layers=2))
