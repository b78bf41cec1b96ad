# Seeds from kNN tokens: after as many steps they find more objects than those
# from SAM tokens, which end where a surface ends (docs/results/log.md).
_base_ = ['./votenet_synthrooms_mini.py']

model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=512,
            num_neighbors=32)))
