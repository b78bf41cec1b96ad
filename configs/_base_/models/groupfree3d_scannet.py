# GroupFree3D L6-O256 of mmdet3d with a plain transformer on SAM tokens, all of
# which are queries (paper, section 4). Head settings: its ScanNet config.
_base_ = [
    'mmdet3d::_base_/models/groupfree3d.py', './scannet_sizes.py',
    './point_encoder.py'
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='PointTokenBackbone',
        tokenizer=dict(type='SAMTokenizer', split=True, num_tokens=256),
        embedding=_base_.embedding,
        encoder=_base_.encoder,
        center='floor',
        out_channels=288),
    bbox_head=dict(
        num_classes=18,
        size_cls_agnostic=False,
        bbox_coder=dict(
            type='GroupFree3DBBoxCoder',
            num_sizes=18,
            num_dir_bins=1,
            with_rot=False,
            size_cls_agnostic=False,
            mean_sizes=_base_.scannet_mean_sizes),
        center_loss=dict(beta=0.04),
        size_class_loss=dict(
            type='mmdet.CrossEntropyLoss', reduction='sum', loss_weight=1.0),
        size_res_loss=dict(beta=1.0 / 9.0, loss_weight=10.0 / 9.0)),
    test_cfg=dict(prediction_stages='last_three'))
