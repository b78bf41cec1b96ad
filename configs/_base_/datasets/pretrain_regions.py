# Frames of pretrain_frames.py, each point with the region of its pixel.
_base_ = ['./pretrain_frames.py']

load_points = dict(_base_.load_points, columns=('region', ))
# What stage 1 reads of every region.
load_features = dict(
    type='LoadRegionTargets',
    folder='region_features',
    key='features',
    backend_args=_base_.backend_args)
load_groups = dict(
    type='LoadRegionTargets',
    folder='region_groups/train',
    key='group_ids',
    backend_args=_base_.backend_args)

train_pipeline = [load_points, *_base_.augment, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
