# Frame pairs for two CPU cores: 2 x 4,096 points, one pair of frames a step.
_base_ = ['./pretrain_pairs.py']

train_pipeline = [
    dict(
        type='TwoViews',
        transforms=[
            dict(
                type='LoadRGBDPoints',
                num_points=4096,
                columns=('origin', ),
                backend_args={{_base_.backend_args}}),
            {{_base_.random_rotation_z}},
        ]),
    {{_base_.find_pairs}},
    {{_base_.pack_pairs}},
]
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
