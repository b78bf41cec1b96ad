# Two draws of each frame: half the frames a step, as many clouds as others.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain_views.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

train_pipeline = [
    dict(
        type='TwoViews',
        transforms=[
            dict(_base_.load_points, columns=('origin', )),
            # About z alone: height tells the encoder what things are.
            dict(
                type='GlobalRotScaleTrans',
                rot_range=[-1.0472, 1.0472],
                scale_ratio_range=[0.7, 1.3]),
            _base_.random_flip,
        ]),
    dict(
        type='LoadFrameImage', kind='depth', backend_args=_base_.backend_args),
    dict(type='DepthViews', size=352),
    dict(type='PackPretrainInputs', keys=('points', 'depth_views', 'cells')),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.dpco'], allow_failed_imports=False)
