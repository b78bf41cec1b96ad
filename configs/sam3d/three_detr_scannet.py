_base_ = [
    '../_base_/models/three_detr.py',
    '../_base_/datasets/scannet_det_cuboid.py',
    '../_base_/schedules/three_detr.py',
    '../_base_/default_runtime.py',
]
