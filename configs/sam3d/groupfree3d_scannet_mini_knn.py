_base_ = ['./groupfree3d_scannet_mini.py']

model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=512,
            num_neighbors=32)))
