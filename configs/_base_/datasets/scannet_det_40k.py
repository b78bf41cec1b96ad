# ScanNet detection with 40,000 points (VoteNet's number).
_base_ = ['./scannet_det.py']

train_pipeline = [
    {{_base_.load_points}},
    dict(type='CheckPoints'),
    {{_base_.load_regions}},
    {{_base_.load_annotations}},
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='PointSegClassMapping'),
    dict(type='PointSample', num_points=40000),
    {{_base_.random_flip}},
    {{_base_.random_rotation}},
    {{_base_.pack_training}},
]
test_pipeline = [
    {{_base_.load_points}},
    dict(type='CheckPoints'),
    {{_base_.load_regions}},
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='SeededPointSample', num_points=40000),
    dict(type='Pack3DDetInputs', keys=['points']),
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
