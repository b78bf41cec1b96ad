# The logits of the codes, the same in both stages.
code_encoder = dict(type='GraphConvStack', out_channels=8192)
# For two CPU cores
mini_graph = dict(hidden_dims=(64, 64, 128, 128, 256))
mini_code_encoder = dict(out_channels=64, **mini_graph)
