# mmdet3d's VoteNet for rotated boxes with a plain transformer on SAM tokens as
# seeds. Head settings: mmdet3d's SUN RGB-D config.
_base_ = ['./votenet_scannet.py', './sunrgbd_sizes.py']

model = dict(
    bbox_head=dict(
        num_classes=10,
        bbox_coder=dict(
            num_sizes=10,
            num_dir_bins=12,
            with_rot=True,
            mean_sizes=_base_.sunrgbd_mean_sizes)))
