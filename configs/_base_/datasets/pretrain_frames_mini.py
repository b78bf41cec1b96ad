# Pre-training frames for two CPU cores: 4,096 points, 2 frames a step.
_base_ = ['./pretrain_frames.py']

load_points = dict(_base_.load_points, num_points=4096)
train_pipeline = [load_points, *_base_.augment, _base_.pack]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
