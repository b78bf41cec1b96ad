# Two CPU cores, a few frames, under 30 minutes.
_base_ = [
    '../_base_/models/votenet_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_mini.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/finetune_runtime_mini.py',
]

model = dict(backbone=dict(tokenizer=dict(num_tokens=512)))
