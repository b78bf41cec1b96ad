_base_ = [
    '../_base_/models/vdetr_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_cuboid.py',
    '../_base_/schedules/vdetr.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=1)
