# + masked token prediction, after table3_distill.py.
_base_ = ['../stage2_scannet.py']

teacher = 'work_dirs/table3_distill/epoch_120.pth'
model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=256,
            num_neighbors=128)),
    target_generator=dict(checkpoint=teacher))
