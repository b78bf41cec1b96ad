# ScanNet detection with 40,000 points (VoteNet's number).
_base_ = ['./scannet_det.py']

train_pipeline = [
    *_base_.read_labeled_scan,
    dict(type='PointSample', num_points=40000),
    *_base_.augment,
    _base_.pack_training,
]
test_pipeline = [
    *_base_.read_scan,
    _base_.align,
    dict(type='SeededPointSample', num_points=40000),
    _base_.pack,
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
