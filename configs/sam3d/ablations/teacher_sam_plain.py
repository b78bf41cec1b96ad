# Stage 1 of table3_distill_mtp_sam.py.
_base_ = ['../stage1_scannet.py']

model = dict(head=dict(loss=dict(_delete_=True, type='DistillLoss')))
train_pipeline = [
    _base_.load_points, _base_.load_features, *_base_.augment, _base_.pack
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
