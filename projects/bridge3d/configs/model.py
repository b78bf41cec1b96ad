# Losses on text are off: no tool of this repository makes what they read.
_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='Bridge3D',
    backbone=_base_.knn_encoder,
    decoder=dict(
        type='MaskedTokenDecoder',
        transformer=dict(type='PlainPointTransformer', depth=2)),
    head=dict(type='NeighborhoodHead', num_neighbors=128),
    region_image=dict(type='RegionPoolHead', out_channels=768),
    scene_image=dict(type='SceneTokenHead', out_channels=768),
    target_generator=dict(type='Bridge3DTargets'),
    mask_ratio=0.75,
    drop_ratio=0.7)
