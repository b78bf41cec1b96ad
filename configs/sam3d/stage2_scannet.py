# Stage 2 with the paper's settings.
_base_ = [
    '../_base_/models/masked_token.py',
    '../_base_/datasets/pretrain_regions.py',
    '../_base_/schedules/pretrain.py',
    '../_base_/pretrain_runtime.py',
]
