_base_ = [
    '../_base_/models/three_detr_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_cuboid.py',
    '../_base_/schedules/three_detr.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=7e-4))
