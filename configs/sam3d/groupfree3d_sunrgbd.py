# Arms differ in one option:
#   weights of the encoder, loaded strictly
#     model.backbone.init_cfg="dict(type='Pretrained', checkpoint='FILE')"
#   its learning rate, as a factor
#     optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult=0.1
#   layer by layer: times 0.65 for each block that is further from the head
#     optim_wrapper.constructor=LayerDecayOptimWrapperConstructor
#     optim_wrapper.paramwise_cfg.layer_decay=0.65
#   frozen
#     model.backbone.frozen=True
# The detector's own backbone: groupfree3d_sunrgbd_pointnet2.py.
_base_ = [
    '../_base_/models/groupfree3d_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_v1.py',
    '../_base_/schedules/groupfree3d_sunrgbd.py',
    '../_base_/default_runtime.py',
]

# The authors' released SUN RGB-D model regresses sizes without size classes.
model = dict(
    bbox_head=dict(
        size_cls_agnostic=True,
        bbox_coder=dict(size_cls_agnostic=True),
        size_reg_loss=dict(
            type='mmdet.SmoothL1Loss',
            beta=0.0625,
            reduction='sum',
            loss_weight=0.625)))
# GroupFree3D's batch.
train_dataloader = dict(batch_size=8)
