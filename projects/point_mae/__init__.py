from .point_mae import PointMAE
