_base_ = ['./stage2_scannet_mini.py']

data_root = 'data/synthrooms/'
teacher = 'work_dirs/stage1_synthrooms_mini/iter_500.pth'
train_dataloader = dict(dataset=dict(data_root=data_root))
model = dict(target_generator=dict(checkpoint=teacher))
