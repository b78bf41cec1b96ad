# 3DETR's head for SUN RGB-D: rotated boxes in 12 angle classes. 128 SAM
# tokens, which are its 128 queries. Settings: 3DETR, sunrgbd_ep1080.
_base_ = ['./three_detr.py']

model = dict(
    backbone=dict(tokenizer=dict(num_tokens=128)),
    bbox_head=dict(
        num_classes=10,
        bbox_coder=dict(num_dir_bins=12, with_rot=True),
        loss_weights=dict(giou=0.0),
        no_object_weight=0.1),
    train_cfg=dict(
        assigner=dict(
            objectness_cost=5.0, center_cost=5.0, giou_cost=3.0,
            with_rot=True)))
