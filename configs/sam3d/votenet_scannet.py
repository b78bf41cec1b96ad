# Arms differ in one option:
#   weights of the encoder, loaded strictly
#     model.backbone.init_cfg="dict(type='Pretrained', checkpoint='FILE')"
#   its learning rate, as a factor
#     optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult=0.1
#   layer by layer
#     optim_wrapper.paramwise_cfg.custom_keys="{'encoder.blocks.0':
#     dict(lr_mult=0.3), 'encoder.blocks.1': dict(lr_mult=0.6)}"
#   frozen
#     model.backbone.frozen=True
# The detector's own backbone: votenet_scannet_pointnet2.py.
_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/datasets/scannet_det_40k.py',
    'mmdet3d::_base_/schedules/schedule-3x.py',
    '../_base_/default_runtime.py',
]
