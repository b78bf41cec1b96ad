# Two CPU cores, a few minutes; features of SynthRooms, which have 112
# channels. Of another encoder: --cfg-options model.region_image.out_channels
# and model.scene_image.out_channels.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_regions_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    head=dict(num_neighbors=64),
    region_image=dict(out_channels=112),
    scene_image=dict(out_channels=112))
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
