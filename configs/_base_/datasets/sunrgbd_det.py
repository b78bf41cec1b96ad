# SUN RGB-D detection: 10 classes, rotated boxes, 20,000 points (the number of
# VoteNet, GroupFree3D and 3DETR). Boxes of mmdet3d's infos; those that papers
# report on: sunrgbd_det_v1.py. Region ids are one more point column;
# tokenizers without regions ignore it.
data_root = 'data/sunrgbd/'
backend_args = None
metainfo = dict(
    classes=('bed', 'table', 'sofa', 'chair', 'toilet', 'desk', 'dresser',
             'night_stand', 'bookshelf', 'bathtub'))

# Steps that the variants of this file share.
load_points = dict(
    type='LoadPointsFromFile',
    coord_type='DEPTH',
    load_dim=6,
    use_dim=[0, 1, 2],
    backend_args=backend_args)
load_regions = dict(type='LoadRegionIds', backend_args=backend_args)
load_annotations = dict(
    type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True)
sample_points = dict(type='PointSample', num_points=20000)
random_flip = dict(
    type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5)
random_rotation = dict(
    type='GlobalRotScaleTrans',
    rot_range=[-0.523599, 0.523599],
    scale_ratio_range=[0.85, 1.15])
pack_training = dict(
    type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d'])

read_scan = [load_points, dict(type='CheckPoints'), load_regions]
read_labeled_scan = [*read_scan, load_annotations]
augment = [random_flip, random_rotation]

train_pipeline = [*read_labeled_scan, sample_points, *augment, pack_training]
test_pipeline = [
    *read_scan,
    dict(type='SeededPointSample', num_points=20000),
    dict(type='Pack3DDetInputs', keys=['points']),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='RepeatDataset',
        times=5,
        dataset=dict(
            type='SUNRGBDDataset',
            data_root=data_root,
            ann_file='sunrgbd_infos_train.pkl',
            pipeline=train_pipeline,
            filter_empty_gt=False,
            metainfo=metainfo,
            modality=dict(use_camera=False, use_lidar=True),
            box_type_3d='Depth',
            backend_args=backend_args)))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='SUNRGBDDataset',
        data_root=data_root,
        ann_file='sunrgbd_infos_val.pkl',
        pipeline=test_pipeline,
        metainfo=metainfo,
        modality=dict(use_camera=False, use_lidar=True),
        test_mode=True,
        box_type_3d='Depth',
        backend_args=backend_args))
test_dataloader = val_dataloader
# mmdet3d's IndoorMetric, but defined when a split lacks a class.
val_evaluator = dict(type='PresentClassIndoorMetric')
test_evaluator = val_evaluator
