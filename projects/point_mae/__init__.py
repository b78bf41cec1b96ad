"""Point-MAE on scene frames."""
from .point_mae import NeighborhoodHead, NeighborhoodTargets, PointMAE

__all__ = ['NeighborhoodHead', 'NeighborhoodTargets', 'PointMAE']
