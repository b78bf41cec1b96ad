# For two CPU cores: 256 tokens, 160 queries, so that most tokens in objects
# are one, two layers, two queries for a true box. Few steps leave no time for
# dropout and contents that start without a meaning.
mini_backbone = dict(tokenizer=dict(num_tokens=256))
mini_head = dict(
    num_queries=160,
    query_content='tokens',
    decoder=dict(num_layers=2, dropout=0.),
    mlp_dropout=0.)
mini_train_cfg = dict(assigner=dict(repeats=2))
