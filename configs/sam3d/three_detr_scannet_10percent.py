# Few labels: a tenth of the scenes, and as many steps as with all. The lists
# of 1, 5, 10 and 20 %: tools/preparation/make_few_label_lists.py; with times
# 900, 180, 90, 45 they train as many steps.
_base_ = ['./three_detr_scannet.py']

train_dataloader = dict(
    dataset=dict(
        times=90, dataset=dict(ann_file='scannet_infos_train_10.pkl')))
