_base_ = ['./groupfree3d_scannet_mini.py']

model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=512,
            num_neighbors=32)))

# Boxes of kNN tokens settle later: 2,000 steps.
param_scheduler = [_base_.warm_up, dict(_base_.cosine, T_max=1950, end=2000)]
train_cfg = dict(max_iters=2000, val_interval=2000)
