from .point_contrast import HardestContrastiveLoss, PointContrast
