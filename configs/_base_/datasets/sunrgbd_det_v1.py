# SUN RGB-D with the older boxes (v1), which VoteNet, GroupFree3D and 3DETR
# train on and report.
_base_ = ['./sunrgbd_det.py']

train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='sunrgbd_v1_infos_train.pkl')))
val_dataloader = dict(dataset=dict(ann_file='sunrgbd_v1_infos_val.pkl'))
test_dataloader = val_dataloader
