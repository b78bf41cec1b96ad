_base_ = [
    '../_base_/models/vdetr.py',
    '../_base_/datasets/scannet_det_100k.py',
    '../_base_/schedules/vdetr.py',
    '../_base_/default_runtime.py',
]
