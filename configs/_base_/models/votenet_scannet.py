# mmdet3d's VoteNet with a plain transformer on SAM tokens as seeds. Head
# settings: mmdet3d's ScanNet config.
_base_ = [
    'mmdet3d::_base_/models/votenet.py', './scannet_sizes.py',
    './point_encoder.py'
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='PointTokenBackbone',
        tokenizer=dict(type='SAMTokenizer', split=True, num_tokens=1024),
        embedding=_base_.embedding,
        encoder=_base_.encoder,
        center='floor',
        out_channels=256),
    bbox_head=dict(
        num_classes=18,
        bbox_coder=dict(
            type='PartialBinBasedBBoxCoder',
            num_sizes=18,
            num_dir_bins=1,
            with_rot=False,
            mean_sizes=_base_.scannet_mean_sizes)))
