_base_ = [
    '../_base_/models/three_detr_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_cuboid.py',
    '../_base_/schedules/three_detr.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=7e-4))
# The schedule's, but from 1e-6 at this rate.
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1 / 700,
        begin=0,
        end=1,
        by_epoch=True,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        begin=1,
        end=120,
        by_epoch=True,
        convert_to_iter_based=True)
]
