# Frames, points, batch and schedule of configs/sam3d/stage1_scannet.py.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_features.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

model = dict(target_generator=dict(backend_args=_base_.backend_args))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.clip2scene'],
    allow_failed_imports=False)
