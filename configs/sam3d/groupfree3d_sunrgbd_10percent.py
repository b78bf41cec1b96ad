# Few labels: a tenth of the scenes, and as many steps as with all. The lists
# of 1, 5, 10 and 20 %: tools/preparation/make_few_label_lists.py; with times
# 500, 100, 50, 25 they train as many steps.
_base_ = ['./groupfree3d_sunrgbd.py']

train_dataloader = dict(
    dataset=dict(
        times=50, dataset=dict(ann_file='sunrgbd_v1_infos_train_10.pkl')))
