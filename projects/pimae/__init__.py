from .branches import ImageBranch, JointTransformer, PointImageDecoder
from .heads import PatchHead, ProjectedFeatureHead
from .pimae import PiMAE
