# ScanNet segmentation for two CPU cores: 20,000 points, one scan a step, no
# augmentation.
_base_ = ['./scannet_seg.py']

train_pipeline = [
    *_base_.read_labeled_scan,
    _base_.center,
    dict(type='PointSample', num_points=20000),
    _base_.pack_training,
]
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0)
test_dataloader = val_dataloader
