# stage2_synthrooms_mini.py, beyond the paper.
_base_ = [
    '../_base_/models/masked_token_ours.py',
    '../_base_/datasets/pretrain_features_mini.py',
    '../_base_/schedules/pretrain_mini.py',
    '../_base_/pretrain_runtime_mini.py',
]

data_root = 'data/synthrooms/'
teacher = 'work_dirs/stage1_synthrooms_mini/iter_500.pth'
model = dict(
    backbone=dict(tokenizer=dict(num_tokens=128, min_points=4)),
    region_head=dict(out_channels=112),
    target_generator=dict(checkpoint=teacher))
train_dataloader = dict(dataset=dict(data_root=data_root))
