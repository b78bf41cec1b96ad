# Two CPU cores, a few minutes: a quarter of the width, voxels of 10 cm.
_base_ = [
    './depth_contrast_mini.py', '../../../configs/_base_/models/sparse_unet.py'
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='SparseUNetBackbone',
        voxel_size=0.1,
        unet=_base_.unet_mini,
        out_channels=256))
