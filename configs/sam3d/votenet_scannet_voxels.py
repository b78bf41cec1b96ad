# The arm with a sparse U-Net on voxels of 2.5 cm (PointContrast). Its weights,
# loaded strictly:
#   model.backbone.init_cfg="dict(type='Pretrained', checkpoint='FILE')"
_base_ = ['./votenet_scannet.py', '../_base_/models/sparse_unet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='SparseUNetBackbone',
        voxel_size=0.025,
        unet=_base_.unet,
        num_seeds=1024,
        out_channels=256))
