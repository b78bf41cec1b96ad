# Pre-training frames with color images for two CPU cores: 4,096 points, images
# of 96 x 128, 2 frames a step.
_base_ = ['./pretrain_images.py']

load_points = dict(_base_.load_points, num_points=4096)
load_image = dict(_base_.load_image, size=(96, 128))
train_pipeline = [load_points, load_image, *_base_.augment, _base_.pack_image]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
