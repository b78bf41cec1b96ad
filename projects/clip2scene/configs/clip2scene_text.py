# With text, as published: needs class_embeddings.npz and region_features of
# one model of images and text with 512 channels (README).
_base_ = ['./clip2scene.py']

model = dict(
    head=dict(out_channels=512),
    target_generator=dict(
        groups=None, class_embeddings='data/scannet/class_embeddings.npz'))
train_pipeline = [
    _base_.load_points, _base_.load_features, *_base_.augment, _base_.pack
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
