# No pre-training: nothing is trained here. Its encoder, fresh, is what
# tools/export_backbone.py writes without a checkpoint.
_base_ = ['./table3_distill.py']

train_cfg = dict(max_epochs=0)
