from .depth_contrast import DepthContrast
from .joint import JointDepthContrast
