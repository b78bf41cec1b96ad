# S3DIS segmentation with 13 classes: trained on five areas, tested on Area 5,
# in blocks of 1 m with 2,048 points, read as scans of scannet_seg.py. Region
# ids (superpoints) stay the last column because the blocks get no normalized
# coordinates.
_base_ = ['./scannet_seg.py']

data_root = 'data/s3dis/'
train_areas = [1, 2, 3, 4, 6]
metainfo = dict(
    classes=('ceiling', 'floor', 'wall', 'beam', 'column', 'window', 'door',
             'table', 'chair', 'sofa', 'bookcase', 'board', 'clutter'))
sample_block = dict(
    type='IndoorPatchPointSample',
    num_points=2048,
    block_size=1.0,
    ignore_index=13,
    use_normalized_coord=False,
    enlarge_size=0.2)

train_pipeline = [
    *_base_.read_labeled_scan,
    _base_.center,
    sample_block,
    _base_.random_rotation,
    _base_.pack_training,
]
# tools/test.py --tta: each room in four directions.
tta_pipeline = [
    *_base_.read_labeled_scan,
    _base_.center,
    dict(type='TestTimeAug', transforms=[_base_.test_turns, [_base_.pack]]),
]

s3dis = dict(
    type='S3DISSegDataset',
    data_root=data_root,
    metainfo=metainfo,
    data_prefix=_base_.data_prefix,
    ignore_index=13,
    backend_args=_base_.backend_args)
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    drop_last=True,
    sampler=dict(type='DefaultSampler'),
    dataset=dict(
        s3dis,
        _delete_=True,
        ann_files=[f's3dis_infos_Area_{i}.pkl' for i in train_areas],
        scene_idxs=[
            f'seg_info/Area_{i}_resampled_scene_idxs.npy' for i in train_areas
        ],
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        s3dis,
        _delete_=True,
        ann_files='s3dis_infos_Area_5.pkl',
        pipeline=_base_.test_pipeline,
        test_mode=True))
test_dataloader = val_dataloader
