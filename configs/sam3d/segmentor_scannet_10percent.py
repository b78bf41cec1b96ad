# Few labels: a tenth of the scans, and as many steps as with all. The lists
# of 1, 5, 10 and 20 %: tools/preparation/make_few_label_lists.py.
_base_ = ['./segmentor_scannet.py']

train_dataloader = dict(
    dataset=dict(
        ann_file='scannet_infos_train_10.pkl',
        scene_idxs='seg_info/train_10_resampled_scene_idxs.npy'))
