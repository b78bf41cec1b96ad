# ScanNet detection as V-DETR trains: 100,000 points of a random cuboid, scaled
# by 0.6 to 1.4. Its shifts of up to 0.4 m are left out: positions are counted
# from the floor and as fractions of the scene, so that they change nothing.
# An epoch is 9 passes, so that its 540 epochs are 60 of ours.
_base_ = ['./scannet_det_cuboid.py']

train_pipeline = [
    *_base_.read_cuboid,
    dict(type='PointSample', num_points=100000),
    _base_.random_flip,
    dict(
        type='GlobalRotScaleTrans',
        rot_range=[-0.087266, 0.087266],
        scale_ratio_range=[0.6, 1.4]),
    _base_.pack_boxes,
]
test_pipeline = [
    *_base_.read_scan,
    _base_.align,
    dict(type='SeededPointSample', num_points=100000),
    _base_.pack,
]
train_dataloader = dict(
    batch_size=1, dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
