# Two CPU cores, a few minutes. The two data sets are the single frames and the
# complete scans of the same rooms: SynthRooms has labels of both. Probes read
# frames, so the norms of frames are those of checkpoints.
_base_ = [
    './data.py', '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

data_root = 'data/synthrooms/'
model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    domains=dict(frames=_base_.scannet_classes, scans=_base_.scannet_classes))
scans = dict(
    type='ScanNetSegDataset',
    data_root=data_root,
    ann_file='scannet_infos_train.pkl',
    pipeline=[
        *_base_.read_labeled_scan,
        dict(type='PointSample', num_points=4096),
        *_base_.augment,
        _base_.pack,
    ],
    scene_idxs='seg_info/train_resampled_scene_idxs.npy',
    metainfo=dict(classes=_base_.scannet_classes),
    data_prefix=_base_.scan_prefix,
    ignore_index=20,
    backend_args=_base_.backend_args)
frames = dict(
    type='RGBDFrameDataset',
    data_root=data_root,
    ann_file='scannet_infos_train.pkl',
    pipeline=[
        dict(_base_.load_points, num_points=4096, columns=('pixel', )),
        dict(
            type='LoadFrameLabels',
            data_root=data_root,
            backend_args=_base_.backend_args),
        *_base_.augment,
        _base_.pack,
    ],
    backend_args=_base_.backend_args)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DomainSampler', batch_size=2, shares=(1, 1)),
    dataset=dict(
        _delete_=True,
        type='DomainDataset',
        domains=('frames', 'scans'),
        datasets=[frames, scans],
        ann_file=''))
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            domain_norms=dict(decay_mult=0.), contexts=dict(decay_mult=0.))))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.ppt'], allow_failed_imports=False)
