# Points and voxels of 5 cm together.
_base_ = [
    './depth_contrast.py', '../../../configs/_base_/models/sparse_unet.py'
]

model = dict(
    type='JointDepthContrast',
    voxel_backbone=dict(
        type='SparseUNetBackbone',
        voxel_size=0.05,
        unet=_base_.unet,
        out_channels=256))
