# Two CPU cores, one room of Area 5, under 30 minutes.
_base_ = [
    '../_base_/models/segmentor_s3dis.py',
    '../_base_/datasets/s3dis_seg_mini.py',
    '../_base_/finetune_runtime_mini.py',
    '../_base_/schedules/segmentor_mini.py',
]

model = dict(
    decode_head=dict(hidden_channels=(256, 128), dropout_ratio=0.1),
    test_cfg=dict(batch_size=8))
param_scheduler = [_base_.warm_up, dict(_base_.cosine, end=900)]
train_cfg = dict(max_iters=900, val_interval=900)
