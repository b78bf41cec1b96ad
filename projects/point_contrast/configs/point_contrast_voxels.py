# As published: voxels, rotations about any axis, 4,096 pairs of 4 pairs of
# frames, SGD.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_pairs.py',
    '../../../configs/_base_/pretrain_runtime_steps.py',
    '../../../configs/_base_/schedules/pretrain_voxels.py', './voxels_model.py'
]

train_pipeline = [
    dict(
        type='TwoViews',
        transforms=[
            dict(_base_.load_points, center='mean'),
            dict(type='TurnPoints'),
        ]),
    dict(_base_.find_pairs, num_pairs=1024, cell=0.025),
    _base_.pack_pairs,
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_contrast'],
    allow_failed_imports=False)
