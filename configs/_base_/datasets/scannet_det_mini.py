# ScanNet detection for two CPU cores: 20,000 points, one scene a step, no
# augmentation.
_base_ = ['./scannet_det.py']

train_pipeline = [
    dict(
        type='LoadPointsFromFile',
        coord_type='DEPTH',
        load_dim=6,
        use_dim=[0, 1, 2],
        backend_args={{_base_.backend_args}}),
    dict(type='CheckPoints'),
    dict(type='LoadRegionIds', backend_args={{_base_.backend_args}}),
    dict(
        type='LoadAnnotations3D',
        with_bbox_3d=True,
        with_label_3d=True,
        with_mask_3d=True,
        with_seg_3d=True,
        backend_args={{_base_.backend_args}}),
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='PointSegClassMapping'),
    dict(type='PointSample', num_points=20000),
    dict(
        type='Pack3DDetInputs',
        keys=[
            'points', 'gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask',
            'pts_instance_mask'
        ])
]
test_pipeline = [
    dict(
        type='LoadPointsFromFile',
        coord_type='DEPTH',
        load_dim=6,
        use_dim=[0, 1, 2],
        backend_args={{_base_.backend_args}}),
    dict(type='CheckPoints'),
    dict(type='LoadRegionIds', backend_args={{_base_.backend_args}}),
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='SeededPointSample', num_points=20000),
    dict(type='Pack3DDetInputs', keys=['points'])
]
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(times=1, dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(num_workers=0, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
