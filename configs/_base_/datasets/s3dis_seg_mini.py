# S3DIS segmentation for two CPU cores: 8 blocks a step without augmentation,
# trained on Area 5 itself, so that one room is enough to run it.
_base_ = ['./s3dis_seg.py']

train_pipeline = [
    *_base_.read_labeled_scan,
    _base_.center,
    _base_.sample_block,
    _base_.pack_training,
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        ann_files='s3dis_infos_Area_5.pkl',
        scene_idxs='seg_info/Area_5_resampled_scene_idxs.npy',
        pipeline=train_pipeline))
val_dataloader = dict(num_workers=0)
test_dataloader = val_dataloader
