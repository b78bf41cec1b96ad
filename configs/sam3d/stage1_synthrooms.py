# Features of SynthRooms are those of the stand-in image model, 112 channels.
_base_ = ['./stage1_scannet.py']

data_root = 'data/synthrooms/'
train_dataloader = dict(dataset=dict(data_root=data_root))
model = dict(head=dict(out_channels=112))
