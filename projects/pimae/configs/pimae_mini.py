# Two CPU cores, a few minutes.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_images_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    head=dict(num_neighbors=64))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(modality=dict(decay_mult=0.))))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.pimae'], allow_failed_imports=False)
