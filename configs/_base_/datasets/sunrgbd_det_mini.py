# SUN RGB-D (v1 boxes) for two CPU cores: 20,000 points, no augmentation. With
# a single frame a step, batch norm would see statistics in training that
# differ from frame to frame, and others in evaluation.
_base_ = ['./sunrgbd_det_v1.py']

train_pipeline = [
    *_base_.read_labeled_scan,
    _base_.sample_points,
    _base_.pack_training,
]
train_dataloader = dict(
    batch_size=3,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(times=1, dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(num_workers=0)
test_dataloader = val_dataloader
