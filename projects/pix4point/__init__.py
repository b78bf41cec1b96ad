from .pvit import ProgressivePatchEmbed, PViTBackbone
