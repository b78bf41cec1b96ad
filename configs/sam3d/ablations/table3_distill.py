# Dense distillation on kNN tokens, each with the region of most of its points.
_base_ = ['../stage1_scannet.py']

model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=256,
            num_neighbors=128)),
    head=dict(loss=dict(_delete_=True, type='DistillLoss')))
train_pipeline = [
    _base_.load_points, _base_.load_features, *_base_.augment, _base_.pack
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
