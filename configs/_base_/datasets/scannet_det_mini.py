# ScanNet detection for two CPU cores: 20,000 points, one scene a step, no
# augmentation.
_base_ = ['./scannet_det.py']

train_pipeline = [
    *_base_.read_labeled_scan,
    dict(type='PointSample', num_points=20000),
    _base_.pack_training,
]
test_pipeline = [
    *_base_.read_scan,
    _base_.align,
    dict(type='SeededPointSample', num_points=20000),
    _base_.pack,
]
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(times=1, dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(num_workers=0, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
