# Frames of pretrain_features.py for two CPU cores: 4,096 points, 2 a step.
_base_ = ['./pretrain_regions_mini.py']

train_pipeline = [
    _base_.load_points,
    _base_.load_features,
    _base_.load_groups,
    *_base_.augment,
    _base_.pack,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
