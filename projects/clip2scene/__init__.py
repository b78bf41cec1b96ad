from .clip2scene import ClassAgreementHead, CLIP2Scene
from .point_targets import PointClassTargets
