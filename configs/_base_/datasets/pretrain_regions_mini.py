# Frames of pretrain_regions.py for two CPU cores: 4,096 points, 2 a step.
_base_ = ['./pretrain_regions.py']

load_points = dict(
    type='LoadRGBDPoints',
    num_points=4096,
    columns=('region', ),
    backend_args={{_base_.backend_args}})
train_pipeline = [
    load_points,
    {{_base_.random_rotation}},
    {{_base_.random_flip}},
    {{_base_.pack}},
]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
