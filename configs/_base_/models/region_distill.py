# Stage 1 (paper, section 3.3): one SAM token per region learns the DINOv2
# ViT-B feature of its region, rare groups of regions weigh more.
_base_ = ['./point_encoder.py']

model = dict(
    type='RegionDistillPretrainer',
    backbone=dict(
        type='TokenEncoder',
        tokenizer=dict(type='SAMTokenizer', num_tokens=256),
        embedding=_base_.embedding,
        encoder=_base_.encoder),
    decoder=dict(type='PlainPointTransformer', depth=2),
    head=dict(
        type='RegionDistillHead',
        out_channels=768,
        loss=dict(type='GroupBalancedDistillLoss', normalize='paper')),
    target_generator=dict(type='RegionFeatureTargets'))
