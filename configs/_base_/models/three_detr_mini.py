# For two CPU cores: 64 queries. They are farther apart than 256, so that a
# box may be farther from its query, and few steps leave no time for dropout.
mini_head = dict(
    queries='fps',
    num_queries=64,
    decoder=dict(dropout=0.),
    mlp_dropout=0.,
    bbox_coder=dict(max_center_offset=1.5))
