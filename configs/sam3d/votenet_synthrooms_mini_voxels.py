# The arm with a sparse U-Net, a quarter as wide, on voxels of 10 cm.
_base_ = ['./votenet_synthrooms_mini.py', '../_base_/models/sparse_unet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='SparseUNetBackbone',
        voxel_size=0.1,
        unet=_base_.unet_mini,
        num_seeds=512,
        out_channels=256))
