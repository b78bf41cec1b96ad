# 2 x 20,000 points and 60 epochs: as many points and clouds as other methods.
_base_ = [
    '../../../configs/_base_/datasets/pretrain_pairs.py',
    '../../../configs/_base_/schedules/pretrain_views.py',
    '../../../configs/_base_/pretrain_runtime.py', './model.py'
]

load_features = dict(
    type='LoadRegionTargets', backend_args=_base_.backend_args)
# Segments share these places, so many of them are needed.
find_places = dict(
    type='FindCorrespondences', num_pairs=2048, radius=0.0375, min_pairs=32)
train_pipeline = [
    dict(
        type='TwoViews',
        transforms=[
            dict(_base_.load_points, columns=('region', 'origin')),
            load_features,
            _base_.random_rotation_z,
        ]),
    find_places,
    _base_.pack_pairs,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.seal'], allow_failed_imports=False)
