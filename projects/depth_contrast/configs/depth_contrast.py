# Two views of each frame: half the frames a step, as many clouds as others.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain_views.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

train_pipeline = [
    dict(_base_.load_points, num_points=50000),
    dict(
        type='TwoViews',
        transforms=[
            dict(type='RandomCuboid', min_points=10000, aspect=0.75),
            dict(type='DropCuboid', size=0.2),
            dict(
                type='RandomChoice',
                transforms=[[dict(type='PointSample', num_points=n)]
                            for n in (5000, 10000, 15000, 20000)]),
            *_base_.augment,
            dict(type='PointSample', num_points=20000),
        ]),
    _base_.pack,
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.depth_contrast'],
    allow_failed_imports=False)
