# Frames, points, batch and schedule of configs/sam3d/stage1_scannet.py.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_regions.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

load_areas = dict(_base_.load_features, key='areas')
train_pipeline = [
    _base_.load_points,
    _base_.load_features,
    load_areas,
    *_base_.augment,
    _base_.pack,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(scene_token=dict(decay_mult=0.))))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.bridge3d'], allow_failed_imports=False)
