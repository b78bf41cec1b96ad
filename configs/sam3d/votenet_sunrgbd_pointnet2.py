# The arm with VoteNet's own backbone.
_base_ = ['./votenet_sunrgbd.py', '../_base_/models/pointnet2.py']

model = dict(backbone=dict(_base_.votenet_backbone, _delete_=True))
