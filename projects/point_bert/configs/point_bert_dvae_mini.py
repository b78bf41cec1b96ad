# Stage A on two CPU cores, a few minutes.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './dvae_model.py'
]

model = dict(
    backbone=dict(
        tokenizer=dict(num_tokens=64, num_neighbors=64),
        encoder=_base_.mini_code_encoder),
    codebook=dict(num_codes=64),
    decoder=_base_.mini_graph,
    head=dict(num_neighbors=64, hidden_dims=(256, 128)))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(codebook=dict(decay_mult=0.))))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_bert'],
    allow_failed_imports=False)
