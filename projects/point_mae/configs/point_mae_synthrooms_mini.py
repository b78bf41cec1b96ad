_base_ = ['./point_mae_scannet_mini.py']

data_root = 'data/synthrooms/'
train_dataloader = dict(dataset=dict(data_root=data_root))
