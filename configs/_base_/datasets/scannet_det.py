# ScanNet detection with 18 classes, 50,000 points (GroupFree3D's number).
# Region ids are one more point column; tokenizers without regions ignore it.
data_root = 'data/scannet/'
backend_args = None
metainfo = dict(
    classes=('cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window',
             'bookshelf', 'picture', 'counter', 'desk', 'curtain',
             'refrigerator', 'showercurtrain', 'toilet', 'sink', 'bathtub',
             'garbagebin'))

# Steps that the variants of this file share.
load_points = dict(
    type='LoadPointsFromFile',
    coord_type='DEPTH',
    load_dim=6,
    use_dim=[0, 1, 2],
    backend_args=backend_args)
load_regions = dict(type='LoadRegionIds', backend_args=backend_args)
load_annotations = dict(
    type='LoadAnnotations3D',
    with_bbox_3d=True,
    with_label_3d=True,
    with_mask_3d=True,
    with_seg_3d=True,
    backend_args=backend_args)
random_flip = dict(
    type='RandomFlip3D',
    sync_2d=False,
    flip_ratio_bev_horizontal=0.5,
    flip_ratio_bev_vertical=0.5)
random_rotation = dict(
    type='GlobalRotScaleTrans',
    rot_range=[-0.087266, 0.087266],
    scale_ratio_range=[1.0, 1.0])
pack_training = dict(
    type='Pack3DDetInputs',
    keys=[
        'points', 'gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask',
        'pts_instance_mask'
    ])
pack = dict(type='Pack3DDetInputs', keys=['points'])

read_scan = [load_points, dict(type='CheckPoints'), load_regions]
align = dict(type='GlobalAlignment', rotation_axis=2)
read_labeled_scan = [
    *read_scan,
    load_annotations,
    align,
    dict(type='PointSegClassMapping'),
]
augment = [random_flip, random_rotation]

train_pipeline = [
    *read_labeled_scan,
    dict(type='PointSample', num_points=50000),
    *augment,
    pack_training,
]
test_pipeline = [
    *read_scan,
    align,
    dict(type='SeededPointSample', num_points=50000),
    pack,
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='RepeatDataset',
        times=5,
        dataset=dict(
            type='ScanNetDataset',
            data_root=data_root,
            ann_file='scannet_infos_train.pkl',
            pipeline=train_pipeline,
            filter_empty_gt=False,
            metainfo=metainfo,
            box_type_3d='Depth',
            backend_args=backend_args)))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ScanNetDataset',
        data_root=data_root,
        ann_file='scannet_infos_val.pkl',
        pipeline=test_pipeline,
        metainfo=metainfo,
        test_mode=True,
        box_type_3d='Depth',
        backend_args=backend_args))
test_dataloader = val_dataloader
# mmdet3d's IndoorMetric, but defined when a split lacks a class.
val_evaluator = dict(type='PresentClassIndoorMetric')
test_evaluator = val_evaluator
