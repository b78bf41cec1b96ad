# PViT-S and mmdet3d's decoder of PointNet++ in two steps; test_cfg is that of
# the data. Weights of images:
# --cfg-options model.backbone.checkpoint=FILE
model = dict(
    type='PointTokenSegmentor',
    data_preprocessor=dict(type='Det3DDataPreprocessor'),
    backbone=dict(
        type='PViTBackbone',
        embedding=dict(type='ProgressivePatchEmbed'),
        transformer=dict(
            type='PlainVisionTransformer',
            embed_dims=384,
            depth=12,
            num_heads=6,
            drop_path=0.1),
        checkpoint=None),
    decode_head=dict(
        type='PointNet2Head',
        fp_channels=((576, 256), (256, 256)),
        channels=256,
        num_classes=20,
        ignore_index=20,
        loss_decode=dict(
            type='mmdet.CrossEntropyLoss',
            use_sigmoid=False,
            avg_non_ignore=True)),
    train_cfg=dict())
