# 2 x 20,000 points and 60 epochs: as many points and clouds as other methods.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_pairs.py',
    '../../../configs/_base_/schedules/pretrain_views.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

# Negatives are of the same scene, so a scene needs more pairs.
train_pipeline = [
    _base_.two_views,
    dict(_base_.find_pairs, num_pairs=512),
    _base_.pack_pairs,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.csc'], allow_failed_imports=False)
