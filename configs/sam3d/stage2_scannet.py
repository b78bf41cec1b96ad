# Stage 2 with the paper's settings. Regions make the tokens; their features
# and groups are not read.
_base_ = [
    '../_base_/models/masked_token.py',
    '../_base_/datasets/pretrain_frames.py',
    '../_base_/schedules/pretrain.py',
    '../_base_/pretrain_runtime.py',
]

train_dataloader = dict(
    dataset=dict(data_prefix=dict(region_features='', region_groups='')))
