# Random vectors stand for text: no tool of this repository makes text
# features. Configs add the classes of their data sets as domains.
_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='PPT',
    backbone=_base_.knn_encoder,
    head=dict(type='TextAlignedSegHead', class_embeddings='random'),
    num_points=4096)
