# With text, as published: needs class_embeddings.npz with 512 channels
# (README).
_base_ = ['./ppt.py']

model = dict(head=dict(class_embeddings='data/scannet/class_embeddings.npz'))
