# SynthRooms detection for two CPU cores: 10,000 points, ScanNet's
# augmentation.
_base_ = ['./scannet_det_mini.py']

data_root = 'data/synthrooms/'
train_pipeline = [
    *_base_.read_labeled_scan,
    dict(type='PointSample', num_points=10000),
    *_base_.augment,
    _base_.pack_training,
]
test_pipeline = [
    *_base_.read_scan,
    _base_.align,
    dict(type='SeededPointSample', num_points=10000),
    _base_.pack,
]
train_dataloader = dict(
    dataset=dict(dataset=dict(data_root=data_root, pipeline=train_pipeline)))
val_dataloader = dict(
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
