# SynthRooms segmentation for two CPU cores: 10,000 points of two scans a step,
# turned and mirrored.
_base_ = ['./scannet_seg_mini.py']

data_root = 'data/synthrooms/'
train_pipeline = [
    {{_base_.load_points}},
    {{_base_.check_points}},
    {{_base_.load_regions}},
    {{_base_.load_annotations}},
    {{_base_.map_classes}},
    {{_base_.center}},
    dict(type='PointSample', num_points=10000),
    {{_base_.random_flip}},
    {{_base_.random_rotation}},
    {{_base_.pack_training}},
]
train_dataloader = dict(
    batch_size=2, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
