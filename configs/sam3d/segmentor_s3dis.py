# Trained on five areas, tested on Area 5.
_base_ = [
    '../_base_/models/segmentor_s3dis.py',
    '../_base_/datasets/s3dis_seg.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/segmentor_s3dis.py',
]
