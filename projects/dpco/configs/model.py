_base_ = ['../../../configs/_base_/models/knn_encoder.py']

model = dict(
    type='DPCo',
    backbone=_base_.knn_encoder,
    depth_network=dict(type='DepthUNet'),
    projector=dict(
        type='GlobalProjector',
        hidden_channels=512,
        out_channels=128,
        pool='max'),
    local_contrast=dict(
        type='InfoNCELoss', temperature=0.07, symmetric=True, mean='sets'),
    global_contrast=dict(type='InfoNCELoss', temperature=0.07),
    queue_size=32768,
    momentum=0.999)
