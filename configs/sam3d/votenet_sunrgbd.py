_base_ = [
    '../_base_/models/votenet_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_v1.py',
    'mmdet3d::_base_/schedules/schedule-3x.py',
    '../_base_/default_runtime.py',
]

# mmdet3d's: 8 GPUs with 16 scenes.
auto_scale_lr = dict(base_batch_size=128)
