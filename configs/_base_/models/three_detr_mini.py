# For two CPU cores: 64 queries. They lie further apart than 256 do, so that a
# box may lie further from its query, and few steps leave no time for dropout.
mini_head = dict(
    queries='fps',
    num_queries=64,
    decoder=dict(dropout=0.),
    mlp_dropout=0.,
    bbox_coder=dict(max_center_offset=1.5))
