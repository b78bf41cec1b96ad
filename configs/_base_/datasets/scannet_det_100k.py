# ScanNet detection as V-DETR trains: 100,000 points of a random cuboid, scaled
# by 0.6 to 1.4. Its shifts of up to 0.4 m are left out: positions are counted
# from the floor and as fractions of the scene, so that they change nothing.
# An epoch is 9 passes, so that its 540 epochs are 60 of ours.
_base_ = ['./scannet_det_cuboid.py']

train_pipeline = [
    {{_base_.load_points}},
    dict(type='CheckPoints'),
    {{_base_.load_regions}},
    dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='RandomCuboid'),
    dict(type='PointSample', num_points=100000),
    {{_base_.random_flip}},
    dict(
        type='GlobalRotScaleTrans',
        rot_range=[-0.087266, 0.087266],
        scale_ratio_range=[0.6, 1.4]),
    dict(
        type='Pack3DDetInputs',
        keys=['points', 'gt_bboxes_3d', 'gt_labels_3d']),
]
test_pipeline = [
    {{_base_.load_points}},
    dict(type='CheckPoints'),
    {{_base_.load_regions}},
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='SeededPointSample', num_points=100000),
    dict(type='Pack3DDetInputs', keys=['points']),
]
train_dataloader = dict(
    batch_size=1, dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
