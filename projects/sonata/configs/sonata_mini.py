# Two CPU cores, a few minutes: two views of one frame a step.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    head=dict(hidden_channels=256, num_prototypes=64),
    # A quarter of the tokens is half as dense.
    mask_sizes=(0.2, 0.8),
    match_radius=0.4)
train_pipeline = [
    dict(_base_.load_points, num_points=10240, columns=('origin', )),
    dict(
        type='TwoViews',
        transforms=[
            # At least 40 % of the points.
            dict(type='RandomCuboid', min_points=4096),
            dict(type='PointSample', num_points=4096),
            *_base_.augment,
            dict(
                type='RandomJitterPoints',
                jitter_std=[0.005, 0.005, 0.005],
                clip_range=[-0.02, 0.02]),
        ]),
    _base_.pack,
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=1)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.sonata'], allow_failed_imports=False)
