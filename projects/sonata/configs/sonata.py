# Two views of each frame: half the frames a step, as many clouds as others.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain_views.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

train_pipeline = [
    dict(_base_.load_points, num_points=50000, columns=('origin', )),
    dict(
        type='TwoViews',
        transforms=[
            # At least 40 % of the points.
            dict(type='RandomCuboid', min_points=20000),
            dict(type='PointSample', num_points=20000),
            *_base_.augment,
            dict(
                type='RandomJitterPoints',
                jitter_std=[0.005, 0.005, 0.005],
                clip_range=[-0.02, 0.02]),
        ]),
    _base_.pack,
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.sonata'], allow_failed_imports=False)
