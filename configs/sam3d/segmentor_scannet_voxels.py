# A sparse U-Net on voxels of 2.5 cm (PointContrast), and one linear layer. Its
# weights, loaded strictly:
#   model.backbone.init_cfg="dict(type='Pretrained', checkpoint='FILE')"
_base_ = ['./segmentor_scannet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='SparseUNetBackbone',
        voxel_size=0.025,
        # As PointContrast fine-tunes it.
        unet=dict(type='SparseVoxelUNet', momentum=0.02)),
    decode_head=dict(
        _delete_=True, type='PointSegHead', num_classes=20, ignore_index=20))
