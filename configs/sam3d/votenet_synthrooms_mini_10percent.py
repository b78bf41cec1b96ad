# Few labels: a tenth of the scenes (lists of 1, 5, 10 and 20 % come with the
# data).
_base_ = ['./votenet_synthrooms_mini.py']

train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='scannet_infos_train_10.pkl')))
