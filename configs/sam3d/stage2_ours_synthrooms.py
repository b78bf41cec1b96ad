# stage2_synthrooms.py, beyond the paper.
_base_ = [
    '../_base_/models/masked_token_ours.py',
    '../_base_/datasets/pretrain_features.py',
    '../_base_/schedules/pretrain.py',
    '../_base_/pretrain_runtime.py',
]

data_root = 'data/synthrooms/'
teacher = 'work_dirs/stage1_synthrooms/epoch_120.pth'
model = dict(
    region_head=dict(out_channels=112),
    target_generator=dict(checkpoint=teacher))
train_dataloader = dict(dataset=dict(data_root=data_root))
