# S3DIS segmentation with 13 classes: trained on five areas, tested on Area 5,
# in blocks of 1 m with 2,048 points. Network input is xyz alone; superpoints
# are one more point column, which stays the last one because the blocks get
# no normalized coordinates.
data_root = 'data/s3dis/'
backend_args = None
train_areas = [1, 2, 3, 4, 6]
metainfo = dict(
    classes=('ceiling', 'floor', 'wall', 'beam', 'column', 'window', 'door',
             'table', 'chair', 'sofa', 'bookcase', 'board', 'clutter'))
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
sample_block = dict(
    type='IndoorPatchPointSample',
    num_points=2048,
    block_size=1.0,
    ignore_index=13,
    use_normalized_coord=False,
    enlarge_size=0.2)
pack_training = dict(
    type='Pack3DDetInputs', keys=['points', 'pts_semantic_mask'])
pack = dict(type='Pack3DDetInputs', keys=['points'])

read_labeled_scan = [
    load_points, check_points, load_regions, load_annotations, map_classes
]

train_pipeline = [
    *read_labeled_scan,
    center,
    sample_block,
    dict(
        type='GlobalRotScaleTrans',
        rot_range=[-3.14159, 3.14159],
        scale_ratio_range=[0.9, 1.1]),
    pack_training,
]
test_pipeline = [*read_labeled_scan, center, pack]
# tools/test.py --tta: each room in four directions.
test_turns = [
    dict(
        type='GlobalRotScaleTrans',
        rot_range=[angle, angle],
        scale_ratio_range=[1., 1.]) for angle in (0., 1.5708, 3.1416, 4.7124)
]
tta_pipeline = [
    *read_labeled_scan,
    center,
    dict(type='TestTimeAug', transforms=[test_turns, [pack]]),
]
tta_model = dict(type='Seg3DTTAModel')

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='S3DISSegDataset',
        data_root=data_root,
        ann_files=[f's3dis_infos_Area_{i}.pkl' for i in train_areas],
        scene_idxs=[
            f'seg_info/Area_{i}_resampled_scene_idxs.npy' for i in train_areas
        ],
        pipeline=train_pipeline,
        metainfo=metainfo,
        data_prefix=data_prefix,
        ignore_index=13,
        backend_args=backend_args))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='S3DISSegDataset',
        data_root=data_root,
        ann_files='s3dis_infos_Area_5.pkl',
        pipeline=test_pipeline,
        metainfo=metainfo,
        data_prefix=data_prefix,
        ignore_index=13,
        test_mode=True,
        backend_args=backend_args))
test_dataloader = val_dataloader
# mmdet3d's SegMetric, but defined when a split lacks a class.
val_evaluator = dict(type='PresentClassSegMetric')
test_evaluator = val_evaluator
