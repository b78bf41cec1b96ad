"""Settings that several heads share."""
LINEAR_INIT = dict(type='TruncNormal', layer='Linear', std=.02)
MSE = dict(
    type='DistillLoss', loss=dict(type='mmdet.MSELoss', reduction='none'))
