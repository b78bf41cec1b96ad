# V-DETR's head for ScanNet behind a plain transformer on SAM tokens, in place
# of its sparse U-Net. Settings: V-DETR, scannet_540ep.
_base_ = ['./point_encoder.py']

model = dict(
    type='VDETR',
    data_preprocessor=dict(type='Det3DDataPreprocessor'),
    backbone=dict(
        type='PointTokenBackbone',
        tokenizer=dict(type='SAMTokenizer', split=True, num_tokens=2048),
        embedding=_base_.embedding,
        encoder=_base_.encoder,
        center='floor',
        out_channels=256),
    bbox_head=dict(
        type='VDETRHead',
        num_classes=18,
        in_channels=256,
        num_queries=1024,
        decoder=dict(num_layers=8, num_heads=4, feedforward_dims=256),
        anchor_size=1.0,
        bbox_coder=dict(type='VDETRBoxCoder', num_dir_bins=1, with_rot=False),
        loss_weights=dict(
            cls=3.0,
            center=1.0,
            size=0.5,
            dir_class=0.1,
            dir_res=0.5,
            giou=2.0,
            point=0.05)),
    train_cfg=dict(
        assigner=dict(
            type='RepeatedBoxAssigner',
            class_cost=3.0,
            center_cost=1.0,
            size_cost=0.5,
            giou_cost=2.0,
            with_rot=False,
            repeats=5)),
    test_cfg=dict(
        nms_thr=0.25, score_thr=0.05, min_points=5, per_class_proposal=True))
