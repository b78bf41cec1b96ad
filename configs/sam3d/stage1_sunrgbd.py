_base_ = ['./stage1_scannet.py']

data_root = 'data/sunrgbd/'
train_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='sunrgbd_infos_train.pkl'))
