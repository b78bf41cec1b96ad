# Pre-training frames with color images for two CPU cores: 4,096 points, images
# of 96 x 128, 2 frames a step.
_base_ = ['./pretrain_images.py']

train_pipeline = [
    dict(
        type='LoadRGBDPoints',
        num_points=4096,
        columns=('origin', ),
        backend_args={{_base_.backend_args}}),
    dict(
        type='LoadFrameImage',
        size=(96, 128),
        backend_args={{_base_.backend_args}}),
    {{_base_.random_rotation}},
    {{_base_.random_flip}},
    {{_base_.pack_image}},
]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
