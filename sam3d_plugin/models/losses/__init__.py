"""Losses that keep one value per item."""
from .chamfer import ChamferLoss, chamfer_l1, chamfer_l2
from .group_balanced_distill_loss import DistillLoss, GroupBalancedDistillLoss

__all__ = [
    'ChamferLoss', 'DistillLoss', 'GroupBalancedDistillLoss', 'chamfer_l1',
    'chamfer_l2'
]
