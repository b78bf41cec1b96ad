from .depth_unet import DepthUNet
from .depth_view import DepthViews
from .dpco import DPCo
