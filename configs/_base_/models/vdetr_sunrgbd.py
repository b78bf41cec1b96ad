# V-DETR's head for SUN RGB-D: rotated boxes in 12 angle classes. The released
# settings are ScanNet's; those of SUN RGB-D are not known.
_base_ = ['./vdetr.py']

model = dict(
    bbox_head=dict(
        num_classes=10, bbox_coder=dict(num_dir_bins=12, with_rot=True)),
    train_cfg=dict(assigner=dict(with_rot=True)))
