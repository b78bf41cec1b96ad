_base_ = ['./stage2_scannet.py']

data_root = 'data/synthrooms/'
teacher = 'work_dirs/stage1_synthrooms/epoch_120.pth'
train_dataloader = dict(dataset=dict(data_root=data_root))
model = dict(target_generator=dict(checkpoint=teacher))
