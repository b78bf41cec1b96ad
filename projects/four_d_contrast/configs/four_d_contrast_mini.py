# Two CPU cores, a few minutes: two steps of one frame.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(
    num_views=2,
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)))
train_pipeline = [
    dict(_base_.load_points, num_points=5120, columns=('origin', )),
    dict(
        type='LoadFrameImage',
        kind='depth',
        size=(120, 160),
        backend_args=_base_.backend_args),
    dict(
        type='PlaceMovingObject',
        num_views=2,
        num_tracks=128,
        backend_args=_base_.backend_args),
    dict(
        type='TwoViews',
        transforms=[
            dict(
                type='GlobalRotScaleTrans',
                rot_range=[-3.14159, 3.14159],
                scale_ratio_range=[1., 1.])
        ]),
    dict(type='PackPretrainInputs', keys=('points', 'tracks', 'is_seen')),
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(time_embedding=dict(decay_mult=0.))))
auto_scale_lr = dict(base_batch_size=1)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.four_d_contrast'],
    allow_failed_imports=False)
