# Two CPU cores, one room, under 30 minutes.
_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/datasets/scannet_seg_mini.py',
    '../_base_/finetune_runtime_mini.py',
    '../_base_/schedules/segmentor_mini.py',
]

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=512)),
    decode_head=dict(hidden_channels=(256, 128), dropout_ratio=0.1),
    test_cfg=dict(num_points=20000, votes=1))
