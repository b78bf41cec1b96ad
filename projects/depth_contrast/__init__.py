from .depth_contrast import DepthContrast
