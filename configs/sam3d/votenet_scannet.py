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
# The detector's own backbone: votenet_scannet_pointnet2.py.
_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/datasets/scannet_det_40k.py',
    'mmdet3d::_base_/schedules/schedule-3x.py',
    '../_base_/default_runtime.py',
]

val_cfg = dict(type='IndependentValLoop')
# mmdet3d's: 8 GPUs with 8 scenes.
auto_scale_lr = dict(base_batch_size=64)
