# Two CPU cores, one room, under 30 minutes.
_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/datasets/scannet_det_mini.py',
    '../_base_/schedules/overfit_1500.py',
    '../_base_/finetune_runtime_mini.py',
]

model = dict(backbone=dict(tokenizer=dict(num_tokens=512)))
