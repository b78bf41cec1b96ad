# Frame pairs for two CPU cores: 2 x 4,096 points, one pair of frames a step.
_base_ = ['./pretrain_pairs.py']

load_points = dict(_base_.load_points, num_points=4096)
two_views = dict(
    type='TwoViews', transforms=[load_points, _base_.random_rotation_z])
train_pipeline = [two_views, _base_.find_pairs, _base_.pack_pairs]
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
