from .bridge3d import Bridge3D
from .bridge3d_heads import RegionPoolHead, SceneTokenHead
from .bridge3d_targets import Bridge3DTargets
from .frame_text import LoadFrameText
