# Stage 1 (paper, section 3.3): one SAM token per region learns the DINOv2
# ViT-B feature of its region, rare groups of regions weigh more.
model = dict(
    type='RegionDistillPretrainer',
    tokenizer=dict(type='SAMTokenizer', num_tokens=256),
    embedding=dict(type='PointPatchEmbed'),
    encoder=dict(type='PlainPointTransformer', depth=3, drop_path=0.1),
    decoder=dict(type='PlainPointTransformer', depth=2, drop_path=0.1),
    head=dict(
        type='RegionDistillHead',
        out_channels=768,
        loss=dict(
            type='GroupBalancedDistillLoss',
            groups='data/scannet/region_groups/train',
            normalize='paper')),
    target_generator=dict(type='RegionFeatureTargets'))
