# Pre-training on single RGB-D frames of 20,000 points. Network input is xyz
# alone, and only posed_images are read; pretrain_regions.py adds regions.
data_root = 'data/scannet/'
backend_args = None

# Steps that the variants of this file share.
load_points = dict(
    type='LoadRGBDPoints',
    num_points=20000,
    columns=(),
    backend_args=backend_args)
random_rotation = dict(
    type='GlobalRotScaleTrans',
    rot_range=[-3.14159, 3.14159],
    scale_ratio_range=[0.8, 1.2])
random_flip = dict(
    type='RandomFlip3D',
    sync_2d=False,
    flip_ratio_bev_horizontal=0.5,
    flip_ratio_bev_vertical=0.5)
augment = [random_rotation, random_flip]
pack = dict(type='PackPretrainInputs')

train_pipeline = [load_points, *augment, pack]
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    collate_fn=dict(type='collate_frames'),
    dataset=dict(
        type='RGBDFrameDataset',
        data_root=data_root,
        ann_file='scannet_infos_train.pkl',
        pipeline=train_pipeline,
        backend_args=backend_args))
