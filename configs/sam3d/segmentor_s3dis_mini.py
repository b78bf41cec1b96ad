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
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=False,
        begin=50,
        end=900)
]
train_cfg = dict(max_iters=900, val_interval=900)
