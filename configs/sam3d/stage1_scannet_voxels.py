# Region distillation with re-weighting on a sparse U-Net: the mean of a
# region's voxels learns the feature of the region. It stands in for what the
# paper does to CAGroup3D's backbone; CAGroup3D itself is not rebuilt.
_base_ = ['./stage1_scannet.py', '../_base_/models/sparse_unet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='SparseTokenEncoder',
        tokenizer=dict(type='SAMTokenizer', num_tokens=256),
        voxel_size=0.025,
        unet=_base_.unet),
    decoder=None,
    head=dict(in_channels=96))
