# Two CPU cores, a few minutes: a quarter of the width, voxels of 10 cm.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_pairs_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './voxels_model.py'
]

model = dict(backbone=dict(voxel_size=0.1, unet=_base_.unet_mini))
train_pipeline = [
    dict(
        type='TwoViews',
        transforms=[
            dict(_base_.load_points, center='mean'),
            dict(type='TurnPoints'),
        ]),
    _base_.find_pairs,
    _base_.pack_pairs,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=1)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_contrast'],
    allow_failed_imports=False)
