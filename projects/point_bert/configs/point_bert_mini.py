# Stage B on two CPU cores, a few minutes.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

teacher = 'work_dirs/point_bert_dvae_mini/iter_500.pth'
model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    target_generator=dict(
        checkpoint=teacher, modules=dict(encoder=_base_.mini_code_encoder)),
    # A run is short: the queue fills, and the copy follows, in a small part.
    queue_size=128,
    momentum=0.99)
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'scene.token': dict(decay_mult=0.)}))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_bert'],
    allow_failed_imports=False)
