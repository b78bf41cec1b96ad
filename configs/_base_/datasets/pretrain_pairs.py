# Two frames that see the same place, 20,000 points each; data_root needs
# frame_pairs of tools/preparation/pair_frames.py. A pair is two frames, so the
# batch is half of that of pretrain_frames.py.
_base_ = ['./pretrain_frames.py']

load_points = dict(_base_.load_points, columns=('origin', ))
# Rotated about z alone: height tells the encoder what things are.
random_rotation_z = dict(
    type='GlobalRotScaleTrans',
    rot_range=[-3.14159, 3.14159],
    scale_ratio_range=[1., 1.])
two_views = dict(type='TwoViews', transforms=[load_points, random_rotation_z])
# 32 x 128 are the 4,096 pairs of a batch in PointContrast.
find_pairs = dict(
    type='FindCorrespondences',
    num_pairs=128,
    radius=0.0375,
    min_pairs=32,
    cell=0.1)
pack_pairs = dict(
    type='PackPretrainInputs', keys=('points', 'pairs', 'is_pair', 'places'))

train_pipeline = [two_views, find_pairs, pack_pairs]
# A share of the larger frame's voxels. Published are 0.3 of the points of
# either frame that are 7.5 cm from the other.
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        type='FramePairDataset', min_overlap=0.15, pipeline=train_pipeline))
