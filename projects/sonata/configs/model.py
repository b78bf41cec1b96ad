_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='Sonata',
    backbone=_base_.knn_encoder,
    head=dict(type='PrototypeHead', num_prototypes=1024),
    match_radius=0.2)
