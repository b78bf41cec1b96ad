# 3DETR's own backbone: 2,048 tokens by set abstraction, 3 layers.
three_detr_backbone = dict(
    type='ThreeDETRBackbone',
    pre_encoder=dict(
        num_point=2048,
        radius=0.2,
        num_sample=64,
        mlp_channels=[0, 64, 128, 256],
        use_xyz=True,
        normalize_xyz=True),
    encoder=dict(type='ThreeDETREncoder'))
