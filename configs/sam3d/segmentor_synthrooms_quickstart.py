# The quickstart's segmentor, two minutes on one CPU core.
_base_ = ['./segmentor_synthrooms_mini.py']

param_scheduler = [
    dict(_base_.warm_up, end=30),
    dict(_base_.cosine, begin=30, end=300),
]
train_cfg = dict(max_iters=300, val_interval=300)
