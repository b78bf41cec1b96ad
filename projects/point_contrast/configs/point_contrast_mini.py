# Two CPU cores, a few minutes.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_pairs_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

model = dict(backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)))
auto_scale_lr = dict(base_batch_size=1)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_contrast'],
    allow_failed_imports=False)
