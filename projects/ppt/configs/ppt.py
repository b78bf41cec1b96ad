# Complete scans of ScanNet and S3DIS, 64 of one data set a step, twice as many
# steps of ScanNet. An epoch is as many clouds as ScanNet's training scans have
# frames, 1 in 25, so that all methods see as many.
_base_ = [
    './data.py', '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

s3dis_areas = [1, 2, 3, 4, 6]
s3dis_classes = [
    'ceiling', 'floor', 'wall', 'beam', 'column', 'window', 'door', 'table',
    'chair', 'sofa', 'bookcase', 'board', 'clutter'
]
model = dict(domains=dict(scannet=_base_.scannet_classes, s3dis=s3dis_classes))
train_pipeline = [
    *_base_.read_labeled_scan,
    dict(type='PointSample', num_points=20000),
    *_base_.augment,
    _base_.pack,
]
scannet = dict(
    type='ScanNetSegDataset',
    data_root='data/scannet/',
    ann_file='scannet_infos_train.pkl',
    pipeline=train_pipeline,
    scene_idxs='seg_info/train_resampled_scene_idxs.npy',
    metainfo=dict(classes=_base_.scannet_classes),
    data_prefix=_base_.scan_prefix,
    ignore_index=20,
    backend_args=_base_.backend_args)
s3dis = dict(
    type='S3DISSegDataset',
    data_root='data/s3dis/',
    ann_files=[f's3dis_infos_Area_{i}.pkl' for i in s3dis_areas],
    pipeline=train_pipeline,
    scene_idxs=[
        f'seg_info/Area_{i}_resampled_scene_idxs.npy' for i in s3dis_areas
    ],
    metainfo=dict(classes=s3dis_classes),
    data_prefix=_base_.scan_prefix,
    ignore_index=13,
    backend_args=_base_.backend_args)
train_dataloader = dict(
    sampler=dict(
        type='DomainSampler', batch_size=64, shares=(2, 1),
        epoch_length=78000),
    dataset=dict(
        _delete_=True,
        type='DomainDataset',
        domains=('scannet', 's3dis'),
        datasets=[scannet, s3dis],
        ann_file=''))
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            domain_norms=dict(decay_mult=0.), contexts=dict(decay_mult=0.))))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.ppt'], allow_failed_imports=False)
