# 3DETR's head for ScanNet behind a plain transformer on SAM tokens, all of
# which are queries (paper, section 4). Settings: 3DETR, scannet_ep1080.
_base_ = ['./point_encoder.py']

model = dict(
    type='ThreeDETR',
    data_preprocessor=dict(type='Det3DDataPreprocessor'),
    backbone=dict(
        type='PointTokenBackbone',
        tokenizer=dict(type='SAMTokenizer', split=True, num_tokens=256),
        embedding=_base_.embedding,
        encoder=_base_.encoder,
        center='floor',
        out_channels=256),
    bbox_head=dict(
        type='ThreeDETRHead',
        num_classes=18,
        in_channels=256,
        queries='tokens',
        decoder=dict(num_layers=8, num_heads=4, feedforward_dims=256),
        mlp_dropout=0.3,
        bbox_coder=dict(
            type='ThreeDETRBoxCoder', num_dir_bins=1, with_rot=False),
        loss_weights=dict(
            cls=1.0,
            center=5.0,
            size=1.0,
            dir_class=0.1,
            dir_res=0.5,
            giou=1.0),
        no_object_weight=0.25),
    train_cfg=dict(
        assigner=dict(
            type='BoxSetAssigner',
            class_cost=1.0,
            objectness_cost=0.0,
            center_cost=0.0,
            giou_cost=2.0,
            with_rot=False)),
    test_cfg=dict(
        nms_thr=0.25, score_thr=0.05, min_points=5, per_class_proposal=True))
