# Two CPU cores, one room, under 30 minutes; with kNN tokens:
# groupfree3d_scannet_mini_knn.py.
_base_ = [
    '../_base_/models/groupfree3d_scannet.py',
    '../_base_/datasets/scannet_det_mini.py',
    '../_base_/schedules/overfit_1500.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(
    logger=dict(interval=25, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=250, max_keep_ckpts=2))
log_processor = dict(window_size=25, by_epoch=False)
