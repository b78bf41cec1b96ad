# Two CPU cores, a few minutes: two views of one frame a step.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    # A run is 500 frames long: the queue fills, and the copy follows, in a
    # small part of it.
    queue_size=128,
    momentum=0.99)
train_pipeline = [
    dict(_base_.load_points, num_points=10240),
    dict(
        type='TwoViews',
        transforms=[
            dict(type='RandomCuboid', min_points=2048, aspect=0.75),
            dict(type='DropCuboid', size=0.2),
            dict(
                type='RandomChoice',
                transforms=[[dict(type='PointSample', num_points=n)]
                            for n in (1024, 2048, 3072, 4096)]),
            *_base_.augment,
            dict(type='PointSample', num_points=4096),
        ]),
    _base_.pack,
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=1)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.depth_contrast'],
    allow_failed_imports=False)
