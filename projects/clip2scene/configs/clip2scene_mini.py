# Two CPU cores, a few minutes; features of SynthRooms, which have 112
# channels. Of another encoder: --cfg-options model.head.out_channels.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_features_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    head=dict(out_channels=112),
    target_generator=dict(backend_args=_base_.backend_args))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.clip2scene'],
    allow_failed_imports=False)
