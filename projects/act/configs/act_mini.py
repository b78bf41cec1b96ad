# Stage B on two CPU cores, a few minutes.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_frames_mini.py',
    '../../../configs/_base_/schedules/pretrain_mini.py',
    '../../../configs/_base_/pretrain_runtime_mini.py', './model.py'
]

teacher = 'work_dirs/act_vae_mini/iter_500.pth'
model = dict(
    backbone=dict(tokenizer=dict(num_tokens=64, num_neighbors=64)),
    target_generator=dict(
        checkpoint=teacher,
        modules=dict(
            encoder=_base_.mini_code_encoder,
            codebook=_base_.mini_codebook,
            decoder=_base_.mini_decoder)))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.point_bert', 'projects.act'],
    allow_failed_imports=False)
