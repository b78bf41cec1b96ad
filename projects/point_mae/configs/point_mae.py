# Frames, points, batch and schedule of configs/sam3d/stage1_scannet.py.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_mae'], allow_failed_imports=False)
# Features and groups of regions are not read.
train_dataloader = dict(
    dataset=dict(data_prefix=dict(region_features='', region_groups='')))
