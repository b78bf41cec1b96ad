_base_ = [
    '../_base_/models/segmentor.py',
    '../_base_/datasets/scannet_seg.py',
    '../_base_/iteration_runtime.py',
    '../_base_/schedules/segmentor_30k.py',
]
