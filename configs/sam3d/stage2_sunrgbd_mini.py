_base_ = ['./stage2_scannet_mini.py']

data_root = 'data/sunrgbd/'
teacher = 'work_dirs/stage1_sunrgbd_mini/iter_500.pth'
train_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='sunrgbd_infos_train.pkl'))
model = dict(target_generator=dict(checkpoint=teacher))
