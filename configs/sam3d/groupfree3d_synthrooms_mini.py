# Two CPU cores, a few minutes.
_base_ = [
    '../_base_/models/groupfree3d_scannet.py',
    '../_base_/datasets/synthrooms_det_mini.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/finetune_runtime_mini.py',
]
