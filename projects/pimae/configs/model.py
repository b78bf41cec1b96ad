_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='PiMAE',
    data_preprocessor=dict(type='FrameImagePreprocessor'),
    backbone=_base_.knn_encoder,
    image_encoder=dict(
        type='ImageBranch',
        transformer=dict(
            type='PlainVisionTransformer',
            embed_dims=256,
            depth=3,
            num_heads=4)),
    joint_encoder=dict(type='JointTransformer'),
    decoder=dict(type='PointImageDecoder'),
    head=dict(type='NeighborhoodHead', in_channels=192, num_neighbors=128),
    image_head=dict(type='PatchHead'),
    feature_head=dict(type='ProjectedFeatureHead'),
    target_generator=dict(type='NeighborhoodTargets'),
    mask_ratio=0.6)
