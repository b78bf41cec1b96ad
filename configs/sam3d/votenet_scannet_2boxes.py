# Few labels: two boxes of each scene, the same ones in every epoch; all other
# objects count as background. Another number: num_boxes below.
_base_ = ['./votenet_scannet.py']

train_pipeline = [
    *_base_.read_labeled_scan,
    dict(type='KeepBoxLabels', num_boxes=2, ignore_index=18, seed=0),
    dict(type='PointSample', num_points=40000),
    *_base_.augment,
    _base_.pack_training,
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
