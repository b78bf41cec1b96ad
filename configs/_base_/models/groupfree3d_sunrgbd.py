# GroupFree3D L6-O256 for rotated boxes with a plain transformer on SAM tokens,
# all of which are queries. Weights of the losses: the authors' for SUN RGB-D.
_base_ = ['./groupfree3d_scannet.py', './sunrgbd_sizes.py']

model = dict(
    bbox_head=dict(
        type='RotatedGroupFree3DHead',
        num_classes=10,
        bbox_coder=dict(
            num_sizes=10,
            num_dir_bins=12,
            with_rot=True,
            mean_sizes=_base_.sunrgbd_mean_sizes),
        sampling_objectness_loss=dict(loss_weight=2.0),
        objectness_loss=dict(loss_weight=4.0),
        center_loss=dict(beta=1.0 / 9.0),
        dir_res_loss=dict(beta=0.04, loss_weight=0.4),
        size_res_loss=dict(beta=0.0625, loss_weight=0.625)))
