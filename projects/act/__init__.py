from .act import ACT, CosineLoss, CrossModalTargets
from .vae import CrossModalDecoder, CrossModalVAE, PromptedTransformer
