_base_ = [
    '../_base_/models/groupfree3d_sunrgbd.py',
    '../_base_/datasets/sunrgbd_det_v1.py',
    '../_base_/schedules/groupfree3d_sunrgbd.py',
    '../_base_/default_runtime.py',
]

# GroupFree3D's batch.
train_dataloader = dict(batch_size=8)
