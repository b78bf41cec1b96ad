# With the losses on text, as published: needs frame_text, region_classes and
# class_embeddings.npz (README), of one language model with 512 channels.
_base_ = ['./bridge3d.py']

model = dict(
    region_text=dict(type='RegionPoolHead', out_channels=512, pool=False),
    scene_text=dict(type='SceneTokenHead', out_channels=512),
    target_generator=dict(
        class_embeddings='data/scannet/class_embeddings.npz'))
train_pipeline = [
    _base_.load_points,
    _base_.load_features,
    _base_.load_areas,
    dict(_base_.load_groups, folder='region_classes', column='classes'),
    dict(type='LoadFrameText', backend_args=_base_.backend_args),
    *_base_.augment,
    dict(type='PackPretrainInputs', keys=('points', 'frame_text')),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
