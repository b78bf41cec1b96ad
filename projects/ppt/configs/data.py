# What the data sets have in common: steps that load complete scans with
# labels, beside those of frames.
_base_ = ['../../../configs/_base_/datasets/pretrain_frames.py']

scannet_classes = [
    'wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table', 'door',
    'window', 'bookshelf', 'picture', 'counter', 'desk', 'curtain',
    'refrigerator', 'showercurtrain', 'toilet', 'sink', 'bathtub',
    'otherfurniture'
]
scan_prefix = dict(
    pts='points',
    pts_instance_mask='instance_mask',
    pts_semantic_mask='semantic_mask')

load_scan = dict(
    type='LoadPointsFromFile',
    coord_type='DEPTH',
    load_dim=6,
    use_dim=[0, 1, 2],
    backend_args=_base_.backend_args)
check_points = dict(type='CheckPoints')
load_annotations = dict(
    type='LoadAnnotations3D',
    with_bbox_3d=False,
    with_label_3d=False,
    with_seg_3d=True,
    backend_args=_base_.backend_args)
map_classes = dict(type='PointSegClassMapping')
center = dict(type='CenterPoints')
read_labeled_scan = [
    load_scan, check_points, load_annotations, map_classes, center
]
