# SynthRooms detection for two CPU cores: 10,000 points, ScanNet's
# augmentation.
_base_ = ['./scannet_det_mini.py']

data_root = 'data/synthrooms/'
train_pipeline = [
    {{_base_.load_points}},
    dict(type='CheckPoints'),
    {{_base_.load_regions}},
    {{_base_.load_annotations}},
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='PointSegClassMapping'),
    dict(type='PointSample', num_points=10000),
    {{_base_.random_flip}},
    {{_base_.random_rotation}},
    {{_base_.pack_training}},
]
test_pipeline = [
    {{_base_.load_points}},
    dict(type='CheckPoints'),
    {{_base_.load_regions}},
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='SeededPointSample', num_points=10000),
    dict(type='Pack3DDetInputs', keys=['points']),
]
train_dataloader = dict(
    dataset=dict(dataset=dict(data_root=data_root, pipeline=train_pipeline)))
val_dataloader = dict(
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
