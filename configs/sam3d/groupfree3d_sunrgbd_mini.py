# Two CPU cores, a few frames, under 30 minutes.
_base_ = [
    '../_base_/models/groupfree3d_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_mini.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/finetune_runtime_mini.py',
]
