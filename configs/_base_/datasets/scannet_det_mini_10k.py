# ScanNet detection for two CPU cores with 10,000 points, half of the work of
# the token embedding.
_base_ = ['./scannet_det_mini.py']

train_pipeline = [
    {{_base_.load_points}},
    dict(type='CheckPoints'),
    {{_base_.load_regions}},
    {{_base_.load_annotations}},
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='PointSegClassMapping'),
    dict(type='PointSample', num_points=10000),
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
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
