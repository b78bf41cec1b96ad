# 1,800 steps, to overfit one scan on two CPU cores in under 30 minutes.
_base_ = ['./segmentor_30k.py']

optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.0005))
warm_up = dict(_base_.warm_up, start_factor=0.01, end=50)
cosine = dict(_base_.cosine, begin=50, end=1800)
param_scheduler = [warm_up, cosine]
train_cfg = dict(max_iters=1800, val_interval=1800)
auto_scale_lr = dict(base_batch_size=1)
