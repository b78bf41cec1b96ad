# Two CPU cores, a few minutes; data, classes' weights and schedule of
# configs/sam3d/segmentor_synthrooms_mini.py.
_base_ = [
    './segmentor_pvit.py',
    '../../../configs/_base_/datasets/synthrooms_seg_mini.py',
    '../../../configs/_base_/finetune_runtime_mini.py',
    '../../../configs/_base_/schedules/segmentor_mini.py',
]

model = dict(
    backbone=dict(
        embedding=dict(channels=(32, 64)),
        transformer=dict(embed_dims=64, depth=2, num_heads=2)),
    decode_head=dict(
        fp_channels=((96, 64), (64, 64)),
        channels=64,
        loss_decode=dict(class_weight=_base_.class_weights)),
    test_cfg=dict(mode='sample', num_points=10000, votes=1))
param_scheduler = [
    dict(_base_.warm_up, end=30),
    dict(_base_.cosine, begin=30, end=600),
]
train_cfg = dict(max_iters=600, val_interval=600)
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.pix4point'], allow_failed_imports=False)
