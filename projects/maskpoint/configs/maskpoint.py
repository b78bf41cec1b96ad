# Frames, points, batch and schedule of configs/sam3d/stage1_scannet.py.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

custom_imports = dict(
    imports=['sam3d_plugin', 'projects.maskpoint'], allow_failed_imports=False)
