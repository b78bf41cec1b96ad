# Two CPU cores: stage1_scannet_voxels.py with a quarter of the width and
# voxels of 10 cm.
_base_ = ['./stage1_synthrooms_mini.py', '../_base_/models/sparse_unet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='SparseTokenEncoder',
        tokenizer=dict(type='SAMTokenizer', num_tokens=128, min_points=4),
        voxel_size=0.1,
        unet=_base_.unet_mini),
    decoder=None,
    head=dict(in_channels=24))
