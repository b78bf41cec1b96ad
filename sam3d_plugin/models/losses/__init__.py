"""Losses that keep one value per item."""
from .group_balanced_distill_loss import DistillLoss, GroupBalancedDistillLoss

__all__ = ['DistillLoss', 'GroupBalancedDistillLoss']
