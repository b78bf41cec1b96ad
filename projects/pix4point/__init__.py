from .pvit import ProgressivePatchEmbed, PViTBackbone
from .spheres import (LabelSmoothingLoss, SpherePointTokenSegmentor,
                      SphereSample)
