# For two CPU cores: 256 tokens, 96 queries, two layers, two queries for a
# true box. Few steps leave no time for dropout.
mini_backbone = dict(tokenizer=dict(num_tokens=256))
mini_head = dict(
    num_queries=96, decoder=dict(num_layers=2, dropout=0.), mlp_dropout=0.)
mini_train_cfg = dict(assigner=dict(repeats=2))
