# Stage 1 of table3_distill_mtp_balance.py.
_base_ = ['../stage1_scannet.py']

model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=256,
            num_neighbors=128)))
