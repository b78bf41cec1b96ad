_base_ = ['./point_mae_scannet_mini.py']

train_dataloader = dict(dataset=dict(data_root='data/synthrooms/'))
