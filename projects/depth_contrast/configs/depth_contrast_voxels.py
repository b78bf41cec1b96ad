# Voxels of 5 cm and the published U-Net, with 256 channels, as the format.
_base_ = [
    './depth_contrast.py', '../../../configs/_base_/models/sparse_unet.py'
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='SparseUNetBackbone',
        voxel_size=0.05,
        unet=_base_.unet,
        out_channels=256))
