# Few labels: a tenth of the scans (lists of 1, 5, 10 and 20 % come with the
# data).
_base_ = ['./segmentor_synthrooms_mini.py']

train_dataloader = dict(
    dataset=dict(
        ann_file='scannet_infos_train_10.pkl',
        scene_idxs='seg_info/train_10_resampled_scene_idxs.npy'))
