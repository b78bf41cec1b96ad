# SynthRooms segmentation for two CPU cores: 10,000 points of two scans a step,
# turned and mirrored.
_base_ = ['./scannet_seg_mini.py']

# For loss_decode: seg_info/train_label_weight.npy, as mmdet3d's configs have
# it; without it, rare classes are not learned in so few steps.
class_weights = [
    1.93, 2.97, 4.55, 5.25, 4.79, 5.06, 5.11, 4.37, 4.94, 4.90, 5.21, 5.38,
    5.01, 4.96, 5.28, 5.31, 5.42, 5.46, 5.29, 5.38
]
data_root = 'data/synthrooms/'
train_pipeline = [
    *_base_.read_labeled_scan,
    _base_.center,
    dict(type='PointSample', num_points=10000),
    *_base_.augment,
    _base_.pack_training,
]
train_dataloader = dict(
    batch_size=2, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
