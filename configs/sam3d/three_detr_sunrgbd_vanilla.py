# The arm with 3DETR's own backbone and queries, as published.
_base_ = ['./three_detr_sunrgbd.py', '../_base_/models/three_detr_backbone.py']

model = dict(
    backbone=dict(_base_.three_detr_backbone, _delete_=True),
    bbox_head=dict(queries='fps', num_queries=128))
