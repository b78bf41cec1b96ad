_base_ = ['./stage2_scannet.py']

data_root = 'data/sunrgbd/'
teacher = 'work_dirs/stage1_sunrgbd/epoch_120.pth'
train_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='sunrgbd_infos_train.pkl'))
model = dict(target_generator=dict(checkpoint=teacher))
