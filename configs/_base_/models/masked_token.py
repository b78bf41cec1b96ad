# Stage 2 (paper, section 3.4): a student that sees 40 % of the tokens predicts
# the frozen teacher of stage 1. Another teacher:
# --cfg-options teacher=FILE
teacher = 'work_dirs/stage1_scannet/epoch_120.pth'
model = dict(
    type='MaskedTokenPretrainer',
    tokenizer=dict(type='SAMTokenizer', num_tokens=256),
    embedding=dict(type='PointPatchEmbed'),
    encoder=dict(type='PlainPointTransformer', depth=3, drop_path=0.1),
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=2,
                         drop_path=0.1)),
    head=dict(type='MaskedTokenHead'),
    global_head=dict(type='GlobalFeatureHead', pool='mean'),
    target_generator=dict(
        type='TeacherTokenTargets', checkpoint=teacher, normalize=False),
    mask_ratio=0.6,
    init_student='scratch')
