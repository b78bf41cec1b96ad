from .four_d_contrast import FourDContrast, SimSiamLoss
from .moving_object import PlaceMovingObject
