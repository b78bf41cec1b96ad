_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/datasets/scannet_det_40k.py',
    'mmdet3d::_base_/schedules/schedule-3x.py',
    '../_base_/default_runtime.py',
]
