# As published: spheres of 2 m, which are 600 epochs of 2,000, label smoothing.
_base_ = [
    './segmentor_pvit.py',
    '../../../configs/_base_/datasets/s3dis_seg.py',
    '../../../configs/_base_/iteration_runtime.py',
    '../../../configs/_base_/schedules/segmentor_30k.py',
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
read_scan = [
    _base_.load_points,
    _base_.check_points,
    _base_.load_annotations,
    _base_.map_classes,
    _base_.center,
]
train_pipeline = [
    *read_scan,
    dict(type='SphereSample', **sphere),
    _base_.random_rotation,
    _base_.pack_training,
]
test_pipeline = [*read_scan, _base_.pack]
tta_pipeline = [
    *read_scan,
    dict(type='TestTimeAug', transforms=[_base_.test_turns, [_base_.pack]]),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=1e-4, weight_decay=1e-4))
# An epoch of 2,000 spheres is 125 steps.
param_scheduler = [
    dict(_base_.warm_up, end=1250),
    dict(_base_.cosine, begin=1250, end=75000),
]
train_cfg = dict(max_iters=75000, val_interval=12500)
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(checkpoint=dict(interval=2500))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.pix4point'], allow_failed_imports=False)
