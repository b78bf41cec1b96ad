# The own backbones of VoteNet (xyz and height) and GroupFree3D.
votenet_backbone = dict(
    type='StockPointBackbone',
    with_height=True,
    backbone=dict(type='PointNet2SASSG', in_channels=4))
groupfree3d_backbone = dict(
    type='StockPointBackbone',
    backbone=dict(
        type='PointNet2SASSG',
        in_channels=3,
        fp_channels=((256, 256), (256, 288))))
