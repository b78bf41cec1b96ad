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
# The detector's own backbone: groupfree3d_sunrgbd_pointnet2.py.
_base_ = [
    '../_base_/models/groupfree3d_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_v1.py',
    '../_base_/schedules/groupfree3d_sunrgbd.py',
    '../_base_/default_runtime.py',
]

# GroupFree3D's batch.
train_dataloader = dict(batch_size=8)
