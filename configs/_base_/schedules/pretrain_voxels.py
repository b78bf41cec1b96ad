# PointContrast's schedule, in steps: SGD, and the rate falls by a hundredth
# every 250. A batch is 32 pairs of frames, 4 on each of 8 GPUs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.8, weight_decay=1e-4))
param_scheduler = [
    dict(type='StepLR', step_size=250, gamma=0.99, by_epoch=False)
]
train_cfg = dict(type='ResumableTrainLoop', max_iters=60000)
auto_scale_lr = dict(enable=False, base_batch_size=32)
