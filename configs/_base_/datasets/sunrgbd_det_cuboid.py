# SUN RGB-D detection as 3DETR trains: v1 boxes, 20,000 points of a random
# cuboid. An epoch is 9 passes, so that its 1,080 epochs are 120 of ours.
_base_ = ['./sunrgbd_det_v1.py']

train_pipeline = [
    *_base_.read_labeled_scan,
    *_base_.augment,
    dict(type='RandomCuboid', min_crop=0.75, aspect=0.75),
    _base_.sample_points,
    _base_.pack_training,
]
train_dataloader = dict(
    batch_size=8, dataset=dict(times=9, dataset=dict(pipeline=train_pipeline)))
