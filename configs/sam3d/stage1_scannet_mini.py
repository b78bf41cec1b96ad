# Two CPU cores, a few minutes.
_base_ = [
    '../_base_/models/region_distill.py',
    '../_base_/datasets/pretrain_features_mini.py',
    '../_base_/schedules/pretrain_mini.py',
    '../_base_/pretrain_runtime_mini.py',
]

# 16 of 20,000 points are 3 of 4,096.
model = dict(backbone=dict(tokenizer=dict(num_tokens=128, min_points=4)))
