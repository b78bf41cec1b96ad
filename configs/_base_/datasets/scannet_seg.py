# ScanNet segmentation with 20 classes on complete scans, 40,000 points a step.
# Network input is xyz alone; region ids are one more point column.
data_root = 'data/scannet/'
backend_args = None
metainfo = dict(
    classes=('wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table',
             'door', 'window', 'bookshelf', 'picture', 'counter', 'desk',
             'curtain', 'refrigerator', 'showercurtrain', 'toilet', 'sink',
             'bathtub', 'otherfurniture'))
data_prefix = dict(
    pts='points',
    pts_instance_mask='instance_mask',
    pts_semantic_mask='semantic_mask')

# Steps that the variants of this file share.
load_points = dict(
    type='LoadPointsFromFile',
    coord_type='DEPTH',
    load_dim=6,
    use_dim=[0, 1, 2],
    backend_args=backend_args)
check_points = dict(type='CheckPoints')
load_regions = dict(type='LoadRegionIds', backend_args=backend_args)
load_annotations = dict(
    type='LoadAnnotations3D',
    with_bbox_3d=False,
    with_label_3d=False,
    with_mask_3d=False,
    with_seg_3d=True,
    backend_args=backend_args)
map_classes = dict(type='PointSegClassMapping')
center = dict(type='CenterPoints')
random_flip = dict(
    type='RandomFlip3D',
    sync_2d=False,
    flip_ratio_bev_horizontal=0.5,
    flip_ratio_bev_vertical=0.5)
random_rotation = dict(
    type='GlobalRotScaleTrans',
    rot_range=[-3.14159, 3.14159],
    scale_ratio_range=[0.9, 1.1])
augment = [random_flip, random_rotation]
pack_training = dict(
    type='Pack3DDetInputs', keys=['points', 'pts_semantic_mask'])
pack = dict(type='Pack3DDetInputs', keys=['points'])

read_labeled_scan = [
    load_points, check_points, load_regions, load_annotations, map_classes
]

train_pipeline = [
    *read_labeled_scan,
    center,
    dict(type='PointSample', num_points=40000),
    *augment,
    pack_training,
]
test_pipeline = [*read_labeled_scan, center, pack]
# tools/test.py --tta: each scan in four directions, and mirrored.
test_flips = [
    dict(
        type='RandomFlip3D',
        sync_2d=False,
        flip_ratio_bev_horizontal=ratio,
        flip_ratio_bev_vertical=0.) for ratio in (0., 1.)
]
test_turns = [
    dict(
        type='GlobalRotScaleTrans',
        rot_range=[angle, angle],
        scale_ratio_range=[1., 1.]) for angle in (0., 1.5708, 3.1416, 4.7124)
]
tta_pipeline = [
    *read_labeled_scan,
    center,
    dict(type='TestTimeAug', transforms=[test_flips, test_turns, [pack]]),
]
tta_model = dict(type='Seg3DTTAModel')

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ScanNetSegDataset',
        data_root=data_root,
        ann_file='scannet_infos_train.pkl',
        scene_idxs='seg_info/train_resampled_scene_idxs.npy',
        pipeline=train_pipeline,
        metainfo=metainfo,
        data_prefix=data_prefix,
        ignore_index=20,
        backend_args=backend_args))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ScanNetSegDataset',
        data_root=data_root,
        ann_file='scannet_infos_val.pkl',
        pipeline=test_pipeline,
        metainfo=metainfo,
        data_prefix=data_prefix,
        ignore_index=20,
        test_mode=True,
        backend_args=backend_args))
test_dataloader = val_dataloader
# mmdet3d's SegMetric, but defined when a split lacks a class.
val_evaluator = dict(type='PresentClassSegMetric')
test_evaluator = val_evaluator
