_base_ = [
    '../_base_/models/groupfree3d_scannet.py',
    '../_base_/datasets/scannet_det.py',
    '../_base_/schedules/groupfree3d.py',
    '../_base_/default_runtime.py',
]
