# Blocks of 1 m: 2,048 points in 128×32 kNN tokens. Superpoints in their place:
# model = dict(
#     backbone=dict(tokenizer=dict(_delete_=True, type='SAMTokenizer',
#                                  split=True, num_tokens=128)),
#     decode_head=dict(propagation='own_token'))
_base_ = ['./segmentor.py']

model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=128,
            num_neighbors=32)),
    decode_head=dict(num_classes=13, ignore_index=13, propagation='three_nn'),
    test_cfg=dict(
        _delete_=True,
        mode='slide',
        num_points=2048,
        block_size=1.0,
        sample_rate=0.5,
        use_normalized_coord=False,
        batch_size=24))
