# Stage B. Frames, points, batch and schedule of Point-MAE.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

teacher = 'work_dirs/point_bert_dvae/epoch_120.pth'
model = dict(target_generator=dict(checkpoint=teacher))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'scene.token': dict(decay_mult=0.)}))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_bert'],
    allow_failed_imports=False)
