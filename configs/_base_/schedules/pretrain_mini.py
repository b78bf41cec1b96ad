# 500 steps of 2 frames, so that a stage takes two cores a few minutes
# whatever the size of the data set. (125 steps of the same 1,000 frames, 8 at
# a time, are too few for the encoder to learn from regions.)
#
# At 3e-4 the frozen encoders of all methods tried are better than at 1e-3
# (docs/zoo.md).
_base_ = ['./pretrain.py']

optim_wrapper = dict(optimizer=dict(lr=3e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=40),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=False,
        begin=40,
        end=500)
]
train_cfg = dict(max_epochs=None, max_iters=500)
auto_scale_lr = dict(base_batch_size=2)
