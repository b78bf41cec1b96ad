# 2 x 20,000 points and 60 epochs: as many points and clouds as other methods.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_pairs.py',
    '../../../configs/_base_/schedules/pretrain_views.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_contrast'],
    allow_failed_imports=False)
