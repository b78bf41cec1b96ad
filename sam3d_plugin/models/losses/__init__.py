"""Losses that keep one value per item, and contrastive ones."""
from .chamfer import ChamferLoss, chamfer_l1, chamfer_l2
from .feature_queue import FeatureQueue, QueuedKeys
from .group_balanced_distill_loss import DistillLoss, GroupBalancedDistillLoss
from .info_nce import InfoNCELoss

__all__ = [
    'ChamferLoss', 'DistillLoss', 'FeatureQueue', 'GroupBalancedDistillLoss',
    'InfoNCELoss', 'QueuedKeys', 'chamfer_l1', 'chamfer_l2'
]
