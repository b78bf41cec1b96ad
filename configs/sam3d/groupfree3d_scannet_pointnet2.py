# The arm with GroupFree3D's own backbone.
_base_ = ['./groupfree3d_scannet.py', '../_base_/models/pointnet2.py']

model = dict(backbone=dict(_base_.groupfree3d_backbone, _delete_=True))
