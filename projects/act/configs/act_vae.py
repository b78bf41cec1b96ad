# Stage A. Frames, points, batch and schedule of Point-MAE.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './vae_model.py'
]

optim_wrapper = dict(
    clip_grad=dict(max_norm=10),
    paramwise_cfg=dict(
        custom_keys=dict(
            codebook=dict(decay_mult=0.), prompt=dict(decay_mult=0.))))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_bert', 'projects.act'],
    allow_failed_imports=False)
