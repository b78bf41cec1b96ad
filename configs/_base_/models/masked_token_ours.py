# Stage 2 beyond the paper (docs/results/log.md): the student starts as its
# teacher and keeps the loss of stage 1; what it predicts at masked places is
# standardized, passes a linear layer and counts a tenth; no scene feature.
_base_ = ['./masked_token.py']

model = dict(
    head=dict(
        loss=dict(type='DistillLoss'), proj_channels=256, loss_weight=.1),
    global_head=None,
    region_head=dict(
        type='RegionDistillHead',
        out_channels=768,
        loss=dict(type='GroupBalancedDistillLoss', normalize='mean_one')),
    target_generator=dict(normalize='training'),
    init_student='teacher')
