# Frames of pretrain_frames.py with their color images, which do not change
# with the points: the column origin tells the pixel of each point.
_base_ = ['./pretrain_frames.py']

pack_image = dict(
    type='PackPretrainInputs',
    keys=('points', 'color_image', 'color_intrinsics', 'color_pose'))

train_pipeline = [
    dict(
        type='LoadRGBDPoints',
        num_points=20000,
        columns=('origin', ),
        backend_args={{_base_.backend_args}}),
    dict(
        type='LoadFrameImage',
        size=(256, 352),
        backend_args={{_base_.backend_args}}),
    {{_base_.random_rotation}},
    {{_base_.random_flip}},
    pack_image,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
