# Two CPU cores, a few minutes.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py',
    './model.py',
]

num_neighbors = 64
model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=num_neighbors)),
    head=dict(num_neighbors=num_neighbors))

custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_mae'], allow_failed_imports=False)
