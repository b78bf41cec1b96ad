# Two CPU cores, a few minutes.
_base_ = [
    '../_base_/models/masked_token.py',
    '../_base_/datasets/pretrain_regions_mini.py',
    '../_base_/schedules/pretrain_mini.py',
    '../_base_/pretrain_runtime_mini.py',
]

# Tokens as in stage1_scannet_mini.py.
teacher = 'work_dirs/stage1_scannet_mini/iter_500.pth'
model = dict(
    backbone=dict(tokenizer=dict(num_tokens=128, min_points=4)),
    target_generator=dict(checkpoint=teacher))
