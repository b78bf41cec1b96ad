# The arm with GroupFree3D's own backbone.
_base_ = ['./groupfree3d_scannet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='StockPointBackbone',
        backbone=dict(
            type='PointNet2SASSG',
            in_channels=3,
            fp_channels=((256, 256), (256, 288)))))
