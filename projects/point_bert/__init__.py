from .dvae import Codebook, DiscreteVAE, FoldingHead
from .point_bert import CodeTargets, PointBERT
