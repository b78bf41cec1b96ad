# Four steps of each frame: a quarter of the frames a step and of the epochs,
# as many clouds as other methods.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

train_pipeline = [
    # A fifth more than the 20,000 points of a view replaces hidden ones.
    dict(_base_.load_points, num_points=25000, columns=('origin', )),
    dict(
        type='LoadFrameImage',
        kind='depth',
        size=(120, 160),
        backend_args=_base_.backend_args),
    dict(
        type='PlaceMovingObject',
        num_views=4,
        num_tracks=512,
        backend_args=_base_.backend_args),
    dict(
        type='TwoViews',
        transforms=[
            # About z alone: height tells the encoder what things are.
            dict(
                type='GlobalRotScaleTrans',
                rot_range=[-3.14159, 3.14159],
                scale_ratio_range=[1., 1.])
        ]),
    dict(type='PackPretrainInputs', keys=('points', 'tracks', 'is_seen')),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
param_scheduler = [
    dict(_base_.warm_up, end=2.5),
    dict(_base_.cosine, begin=2.5, end=30),
]
train_cfg = dict(max_epochs=30)
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(time_embedding=dict(decay_mult=0.))))
auto_scale_lr = dict(base_batch_size=16)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.four_d_contrast'],
    allow_failed_imports=False)
