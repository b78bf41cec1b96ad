# Frames of pretrain_regions.py with the feature and the group of each region,
# which stage 1 learns.
_base_ = ['./pretrain_regions.py']

train_pipeline = [
    _base_.load_points,
    _base_.load_features,
    _base_.load_groups,
    *_base_.augment,
    _base_.pack,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
