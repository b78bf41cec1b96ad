# Frames, points, batch and schedule of Point-MAE, and images of 256 x 352.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_images.py',
    '../../../configs/_base_/schedules/pretrain.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(modality=dict(decay_mult=0.))))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.pimae'], allow_failed_imports=False)
