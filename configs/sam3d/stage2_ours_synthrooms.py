# stage2_synthrooms.py, beyond the paper.
_base_ = [
    '../_base_/models/masked_token_ours.py',
    '../_base_/datasets/pretrain_regions.py',
    '../_base_/schedules/pretrain.py',
    '../_base_/pretrain_runtime.py',
]

data_root = 'data/synthrooms/'
teacher = 'work_dirs/stage1_synthrooms/epoch_120.pth'
model = dict(
    region_head=dict(out_channels=112),
    target_generator=dict(checkpoint=teacher))
train_pipeline = [
    {{_base_.load_points}},
    {{_base_.load_features}},
    {{_base_.load_groups}},
    {{_base_.random_rotation}},
    {{_base_.random_flip}},
    {{_base_.pack}},
]
train_dataloader = dict(
    dataset=dict(data_root=data_root, pipeline=train_pipeline))
