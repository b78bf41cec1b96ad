# The published network: Res16UNet34C, 32 channels.
_base_ = ['../../../configs/_base_/models/sparse_unet.py']

model = dict(
    type='CSC',
    backbone=dict(
        type='SparseUNetBackbone',
        voxel_size=0.025,
        unet=_base_.unet,
        out_channels=32),
    projector=None,
    pair_loss=dict(type='PartitionedInfoNCELoss'))
