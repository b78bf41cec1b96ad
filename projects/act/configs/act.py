# Stage B. Frames, points, batch and schedule of Point-MAE.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

teacher = 'work_dirs/act_vae/epoch_120.pth'
model = dict(target_generator=dict(checkpoint=teacher))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_bert', 'projects.act'],
    allow_failed_imports=False)
