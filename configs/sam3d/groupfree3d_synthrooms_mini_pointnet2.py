# The arm with GroupFree3D's own backbone.
_base_ = ['./groupfree3d_synthrooms_mini.py', '../_base_/models/pointnet2.py']

model = dict(backbone=dict(_base_.groupfree3d_backbone, _delete_=True))
