# A sparse U-Net, a quarter as wide, on voxels of 10 cm, and one linear layer.
_base_ = ['./segmentor_synthrooms_mini.py', '../_base_/models/sparse_unet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='SparseUNetBackbone',
        voxel_size=0.1,
        unet=_base_.unet_mini),
    decode_head=dict(
        _delete_=True,
        type='PointSegHead',
        in_channels=24,
        num_classes=20,
        ignore_index=20,
        loss_decode=_base_.model.decode_head.loss_decode))
