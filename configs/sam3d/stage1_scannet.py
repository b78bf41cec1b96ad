# Stage 1 with the paper's settings.
_base_ = [
    '../_base_/models/region_distill.py',
    '../_base_/datasets/pretrain_regions.py',
    '../_base_/schedules/pretrain.py',
    '../_base_/pretrain_runtime.py',
]

train_pipeline = [
    {{_base_.load_points}},
    {{_base_.load_features}},
    {{_base_.load_groups}},
    {{_base_.random_rotation}},
    {{_base_.random_flip}},
    {{_base_.pack}},
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
