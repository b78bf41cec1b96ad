# As published: spheres of 2 m, which are 600 epochs of 2,000, label smoothing.
_base_ = [
    './segmentor_pvit.py',
    '../../../configs/_base_/datasets/s3dis_seg.py',
    '../../../configs/_base_/default_runtime.py',
]

sphere = dict(num_points=16384, radius=2.0, voxel_size=0.04)
model = dict(
    type='SpherePointTokenSegmentor',
    decode_head=dict(
        num_classes=13,
        ignore_index=13,
        loss_decode=dict(
            _delete_=True, type='LabelSmoothingLoss', label_smoothing=0.2)),
    test_cfg=dict(mode='spheres', **sphere))
train_pipeline = [
    {{_base_.load_points}},
    {{_base_.check_points}},
    {{_base_.load_annotations}},
    {{_base_.map_classes}},
    {{_base_.center}},
    dict(type='SphereSample', **sphere),
    dict(
        type='GlobalRotScaleTrans',
        rot_range=[-3.14159, 3.14159],
        scale_ratio_range=[0.9, 1.1]),
    {{_base_.pack_training}},
]
test_pipeline = [
    {{_base_.load_points}},
    {{_base_.check_points}},
    {{_base_.load_annotations}},
    {{_base_.map_classes}},
    {{_base_.center}},
    {{_base_.pack}},
]
tta_pipeline = [
    {{_base_.load_points}},
    {{_base_.check_points}},
    {{_base_.load_annotations}},
    {{_base_.map_classes}},
    {{_base_.center}},
    dict(
        type='TestTimeAug',
        transforms=[{{_base_.test_turns}}, [{{_base_.pack}}]]),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=10, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.0))))
# An epoch of 2,000 spheres is 125 steps.
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1250),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=False,
        begin=1250,
        end=75000)
]
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=75000, val_interval=12500)
val_cfg = dict(type='IndependentValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=16)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=2500))
log_processor = dict(by_epoch=False)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.pix4point'], allow_failed_imports=False)
