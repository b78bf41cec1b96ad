# Also for scans without regions, such as the rescan of the room.
_base_ = ['./segmentor_scannet_mini.py']

model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=512,
            num_neighbors=32)),
    decode_head=dict(propagation='three_nn'))
