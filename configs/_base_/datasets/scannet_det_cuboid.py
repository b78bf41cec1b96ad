# ScanNet detection as 3DETR trains: boxes alone, 40,000 points of a random
# cuboid. An epoch is 9 passes, so that its 1,080 epochs are 120 of ours.
_base_ = ['./scannet_det_40k.py']

read_cuboid = [
    *_base_.read_scan,
    dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
    _base_.align,
    dict(type='RandomCuboid'),
]
pack_boxes = dict(
    type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d'])

train_pipeline = [
    *read_cuboid,
    dict(type='PointSample', num_points=40000),
    *_base_.augment,
    pack_boxes,
]
train_dataloader = dict(
    batch_size=8, dataset=dict(times=9, dataset=dict(pipeline=train_pipeline)))
