# Two CPU cores, one room, under 30 minutes; with kNN tokens:
# groupfree3d_scannet_mini_knn.py.
_base_ = [
    '../_base_/models/groupfree3d_scannet.py',
    '../_base_/datasets/scannet_det_mini.py',
    '../_base_/schedules/overfit_1500.py',
    '../_base_/finetune_runtime_mini.py',
]
