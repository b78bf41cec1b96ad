from .domain_norm import DomainNorm
from .domains import DomainDataset, DomainSampler
from .ppt import PPT
from .text_head import TextAlignedSegHead
