# As published: voxels, views tilted a little, 4,096 pairs of a scene, SGD.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_pairs.py',
    '../../../configs/_base_/pretrain_runtime_steps.py',
    '../../../configs/_base_/schedules/pretrain_voxels.py', './voxels_model.py'
]

train_pipeline = [
    dict(
        type='TwoViews',
        transforms=[
            _base_.load_points,
            dict(type='TurnPoints', ranges=(0.04909, 0.04909, 3.14159)),
        ]),
    dict(_base_.find_pairs, num_pairs=4096, cell=0.025),
    _base_.pack_pairs,
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
param_scheduler = [
    dict(type='StepLR', step_size=1000, gamma=0.99, by_epoch=False)
]
train_cfg = dict(max_iters=100000)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.csc'], allow_failed_imports=False)
