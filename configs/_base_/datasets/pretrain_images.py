# Frames of pretrain_frames.py with their color images, which do not change
# with the points: the column origin tells the pixel of each point.
_base_ = ['./pretrain_frames.py']

load_points = dict(_base_.load_points, columns=('origin', ))
load_image = dict(
    type='LoadFrameImage', size=(256, 352), backend_args=_base_.backend_args)
pack_image = dict(
    type='PackPretrainInputs',
    keys=('points', 'color_image', 'color_intrinsics', 'color_pose'))

train_pipeline = [load_points, load_image, *_base_.augment, pack_image]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
