# Two CPU cores, a few minutes; features of SynthRooms, which have 112
# channels. Of another encoder: --cfg-options model.image_channels.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_pairs_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    image_channels=112)
train_pipeline = [
    dict(
        type='TwoViews',
        transforms=[
            dict(_base_.load_points, columns=('region', 'origin')),
            dict(type='LoadRegionTargets', backend_args=_base_.backend_args),
            _base_.random_rotation_z,
        ]),
    dict(
        type='FindCorrespondences',
        num_pairs=2048,
        radius=0.0375,
        min_pairs=32),
    _base_.pack_pairs,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=1)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.seal'], allow_failed_imports=False)
