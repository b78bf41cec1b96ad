# Two CPU cores, a few frames, under 30 minutes.
_base_ = [
    '../_base_/models/three_detr_sunrgbd.py',
    '../_base_/models/three_detr_mini.py',
    '../_base_/datasets/sunrgbd_det_mini.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/finetune_runtime_mini.py',
]

model = dict(bbox_head=_base_.mini_head)
