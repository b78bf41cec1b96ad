_base_ = ['./groupfree3d_scannet.py']

data_root = 'data/synthrooms/'
train_dataloader = dict(dataset=dict(dataset=dict(data_root=data_root)))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
