# Stage 1 with the paper's settings.
_base_ = [
    '../_base_/models/region_distill.py',
    '../_base_/datasets/pretrain_features.py',
    '../_base_/schedules/pretrain.py',
    '../_base_/pretrain_runtime.py',
]
