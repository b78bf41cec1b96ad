_base_ = [
    '../_base_/models/three_detr_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_cuboid.py',
    '../_base_/schedules/three_detr.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=7e-4))
# The schedule's, but from 1e-6 at this rate.
param_scheduler = [
    dict(_base_.warm_up, start_factor=1 / 700),
    _base_.cosine,
]
