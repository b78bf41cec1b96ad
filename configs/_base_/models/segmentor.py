# A plain transformer on SAM tokens, all of whose blocks are propagated to the
# points. The pre-trained arm differs in one line: model.backbone.init_cfg.
# Whole scans: test_cfg deals out all points of a scan to samples as large as
# those of the training.
_base_ = ['./point_encoder.py']

model = dict(
    type='PointTokenSegmentor',
    data_preprocessor=dict(type='Det3DDataPreprocessor'),
    backbone=dict(
        type='PointTokenBackbone',
        tokenizer=dict(type='SAMTokenizer', split=True, num_tokens=1024),
        embedding=_base_.embedding,
        encoder=_base_.encoder,
        out_channels=None,
        feature_depths=(1, 2, 3),
        frozen=False),
    decode_head=dict(
        type='PointTokenSegHead',
        num_classes=20,
        ignore_index=20,
        num_depths=3,
        hidden_channels=(512, 256),
        propagation='own_token',
        dropout_ratio=0.5),
    train_cfg=dict(),
    test_cfg=dict(mode='sample', num_points=40000, votes=2))
