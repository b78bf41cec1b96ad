# Features of SynthRooms are the handcrafted ones, of 60 channels.
_base_ = ['./stage1_scannet.py']

data_root = 'data/synthrooms/'
train_dataloader = dict(dataset=dict(data_root=data_root))
model = dict(head=dict(out_channels=60))
