# Two CPU cores, a few minutes.
_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/datasets/synthrooms_seg_mini.py',
    '../_base_/finetune_runtime_mini.py',
    '../_base_/schedules/segmentor_mini.py',
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=256)),
    decode_head=dict(
        hidden_channels=(256, 128),
        loss_decode=dict(
            type='mmdet.CrossEntropyLoss',
            use_sigmoid=False,
            avg_non_ignore=True,
            class_weight=_base_.class_weights)),
    test_cfg=dict(num_points=10000, votes=1))
param_scheduler = [
    dict(_base_.warm_up, end=30),
    dict(_base_.cosine, begin=30, end=600),
]
train_cfg = dict(max_iters=600, val_interval=600)
