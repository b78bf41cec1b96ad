# Few labels: 20 points of each scan, the same ones in every epoch.
_base_ = ['./segmentor_scannet.py']

train_pipeline = [
    *_base_.read_labeled_scan,
    dict(type='KeepPointLabels', num_points=20, ignore_index=20, seed=0),
    _base_.center,
    dict(type='PointSample', num_points=40000),
    *_base_.augment,
    _base_.pack_training,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
