# Two CPU cores, one room, a few minutes.
_base_ = [
    '../_base_/models/vdetr.py',
    '../_base_/models/vdetr_mini.py',
    '../_base_/datasets/scannet_det_mini_10k.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/finetune_runtime_mini.py',
]

model = dict(
    backbone=_base_.mini_backbone,
    bbox_head=_base_.mini_head,
    train_cfg=_base_.mini_train_cfg)
