"""ACT's teacher: an autoencoder of tokens around an image transformer.

Dong et al., Autoencoders as Cross-Modal Teachers, ICLR 2023, section 3.2.

Shapes: B scenes, G tokens, P prompts, C channels, W channels of the image
transformer.
"""
from typing import Any, Dict, Optional

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor, nn

from projects.point_bert import DiscreteVAE
from sam3d_plugin.models.backbones.image_weights import load_image_weights


@MODELS.register_module()
class PromptedTransformer(BaseModule):
    """Frozen blocks of an image transformer, tuned by prompts.

    Tokens enter and leave by a linear layer each. In every block they attend
    to prompts of that block, which have positions of their own.

    Args:
        transformer (dict): Config of a ``PlainVisionTransformer``.
        checkpoint (Optional[str]): Its weights, which
            ``tools/preparation/export_vit.py`` wrote. None leaves its blocks
            random; log and checkpoints say so. Defaults to None.
        num_prompts (int): Prompts P of a block. Defaults to 64.
        embed_dims (int): Channels C of the tokens. Defaults to 256.
        position_dims (int): Hidden width of the position MLP. Defaults to
            128.
        init_cfg (Optional[dict]): Initialization config.
    """

    is_pretrained: Tensor

    def __init__(self,
                 transformer: dict,
                 checkpoint: Optional[str] = None,
                 num_prompts: int = 64,
                 embed_dims: int = 256,
                 position_dims: int = 128,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.checkpoint = checkpoint
        image_model = MODELS.build(transformer)
        width = image_model.embed_dims
        self.sizes = image_model.sizes
        # Without the parts that only images pass
        self.frozen = ModuleDict(
            dict(blocks=image_model.blocks, norm=image_model.norm),
            image_model.init_cfg)
        self.frozen.requires_grad_(False)
        self.enter = nn.Linear(embed_dims, width)
        self.leave = nn.Linear(width, embed_dims)
        self.position_embedding = nn.Sequential(
            nn.Linear(3, position_dims), nn.GELU(),
            nn.Linear(position_dims, width))
        shape = (len(image_model.blocks), num_prompts, width)
        self.prompts = nn.Parameter(torch.empty(shape))
        self.prompt_positions = nn.Parameter(torch.empty(shape))
        for prompts in (self.prompts, self.prompt_positions):
            nn.init.trunc_normal_(prompts, std=.02)
        self.dropout = nn.Dropout(0.1)
        # In the checkpoint, so that the second stage knows it.
        self.register_buffer('is_pretrained',
                             torch.tensor(checkpoint is not None))

    def init_weights(self) -> None:
        """Initialize; the frozen blocks from their file.

        Raises:
            CheckpointError: If the file is of another transformer.
        """
        super().init_weights()
        load_image_weights(self.frozen, self.sizes, self.checkpoint,
                           'model.decoder.image.checkpoint')

    def forward(self, x: Tensor, centers: Tensor) -> Tensor:
        """Transform tokens (B, G, C) at centers (B, G, 3), meters."""
        x, position = self.enter(x), self.position_embedding(centers)
        num_prompts = self.prompts.shape[1]
        for block, prompts, places in zip(self.frozen['blocks'], self.prompts,
                                          self.prompt_positions):
            prompts = prompts.expand(len(x), -1, -1)
            prompted = self.dropout(prompts) + places
            x = torch.cat((prompted.to(x.dtype), x + position), dim=1)
            x = block(x)[:, num_prompts:]
        return self.leave(self.frozen['norm'](x))


@MODELS.register_module()
class CrossModalDecoder(BaseModule):
    """The image transformer, then the graph of centers.

    Args:
        image (dict): Config of a :class:`PromptedTransformer`.
        graph (dict): Config of a ``GraphConvStack``.
    """

    def __init__(self, image: dict, graph: dict) -> None:
        super().__init__()
        self.image = MODELS.build(image)
        self.graph = MODELS.build(graph)

    @property
    def checkpoint_meta(self) -> Dict[str, Any]:
        """Dict[str, Any]: Whether the image transformer knows images."""
        is_pretrained = bool(self.image.is_pretrained)
        return dict(image_weights='pretrained' if is_pretrained else 'random')

    def forward(self,
                x: Tensor,
                centers: Tensor,
                is_padding: Optional[Tensor] = None,
                num_tokens: Optional[np.ndarray] = None) -> Tensor:
        """See ``GraphConvStack``, which refuses padding."""
        return self.graph(
            self.image(x, centers), centers, is_padding, num_tokens)


@MODELS.register_module()
class CrossModalVAE(DiscreteVAE):
    """Point-BERT's autoencoder with an image transformer in its decoder."""

    @property
    def checkpoint_meta(self) -> Dict[str, Any]:
        """Dict[str, Any]: See :class:`CrossModalDecoder`."""
        return self.decoder.checkpoint_meta
