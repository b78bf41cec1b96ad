# Two CPU cores, a few minutes: two draws of one frame a step.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    depth_network=dict(widths=(16, 32, 64, 64)),
    # A run is 500 frames long: the queues fill, and the copies follow, in a
    # small part of it.
    queue_size=128,
    momentum=0.99)
train_pipeline = [
    dict(
        type='TwoViews',
        transforms=[
            dict(_base_.load_points, columns=('origin', )),
            dict(
                type='GlobalRotScaleTrans',
                rot_range=[-1.0472, 1.0472],
                scale_ratio_range=[0.7, 1.3]),
            _base_.random_flip,
        ]),
    dict(
        type='LoadFrameImage', kind='depth', backend_args=_base_.backend_args),
    dict(type='DepthViews', size=128),
    dict(type='PackPretrainInputs', keys=('points', 'depth_views', 'cells')),
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=1)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.dpco'], allow_failed_imports=False)
