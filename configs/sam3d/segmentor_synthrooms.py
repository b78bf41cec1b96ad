# SynthRooms has ScanNet's form and classes; those that a split lacks are left
# out of the mean.
_base_ = ['./segmentor_scannet.py']

data_root = 'data/synthrooms/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(type='PresentClassSegMetric')
test_evaluator = val_evaluator
