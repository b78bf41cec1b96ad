# Two CPU cores, one room, under 30 minutes.
_base_ = [
    '../_base_/models/three_detr.py',
    '../_base_/models/three_detr_mini.py',
    '../_base_/datasets/scannet_det_mini.py',
    '../_base_/schedules/overfit_2400.py',
    '../_base_/finetune_runtime_mini.py',
]

model = dict(bbox_head=_base_.mini_head)
