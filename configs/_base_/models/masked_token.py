# Stage 2 (paper, section 3.4): a student that sees 40 % of the tokens predicts
# the frozen teacher of stage 1. Another teacher:
# --cfg-options teacher=FILE
_base_ = ['./point_encoder.py']

teacher = 'work_dirs/stage1_scannet/epoch_120.pth'
model = dict(
    type='MaskedTokenPretrainer',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='SAMTokenizer', num_tokens=256),
        embedding=_base_.embedding,
        encoder=_base_.encoder),
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=2)),
    head=dict(type='MaskedTokenHead'),
    global_head=dict(type='GlobalFeatureHead', pool='mean'),
    target_generator=dict(
        type='TeacherTokenTargets', checkpoint=teacher, normalize=False),
    mask_ratio=0.6,
    init_student='scratch')
