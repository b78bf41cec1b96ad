# Two CPU cores, a few minutes: points, and voxels of 10 cm.
_base_ = [
    './depth_contrast_mini.py', '../../../configs/_base_/models/sparse_unet.py'
]

model = dict(
    type='JointDepthContrast',
    voxel_backbone=dict(
        type='SparseUNetBackbone',
        voxel_size=0.1,
        unet=_base_.unet_mini,
        out_channels=256))
