# The arm with VoteNet's own backbone (xyz and height).
_base_ = ['./votenet_scannet.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='StockPointBackbone',
        with_height=True,
        backbone=dict(type='PointNet2SASSG', in_channels=4)))
