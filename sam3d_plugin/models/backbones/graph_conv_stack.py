"""Graph convolutions on token centers.

Shapes: B scenes, G tokens, k neighbors of a token, C channels.
"""
from typing import Optional, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.ops import knn
from ...store.errors import UserError
from .token_packing import find_packing

GROUPS = 4  # of every group norm
SLOPE = 0.2  # of every leaky ReLU


class EdgeConv(nn.Module):
    """A layer on (neighbor, token) pairs, and the maximum over neighbors."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        # One layer over both features, as two that see each token once.
        self.neighbor_layer = nn.Linear(in_channels, out_channels, bias=False)
        self.token_layer = nn.Linear(in_channels, out_channels, bias=False)
        self.norm = nn.GroupNorm(GROUPS, out_channels)

    def forward(self, x: Tensor, neighbors: Tensor) -> Tensor:
        """Features (B, G, C') of tokens (B, G, C) with neighbors (B, G, k)."""
        projected = self.neighbor_layer(x)
        places = neighbors.flatten(1)[..., None]
        edges = projected.gather(1, places.expand(-1, -1, projected.shape[-1]))
        edges = edges.unflatten(1, neighbors.shape[1:])
        edges = edges + self.token_layer(x)[:, :, None]
        edges = F.leaky_relu(self.norm(edges.movedim(-1, 1)), SLOPE)
        return edges.amax(-1).transpose(1, 2)


@MODELS.register_module()
class GraphConvStack(BaseModule):
    """Edge convolutions on the graph of the token centers.

    The part of DGCNN (Wang et al., 2019) in the autoencoder of Point-BERT.

    Args:
        embed_dims (int): Channels of the tokens. Defaults to 256.
        out_channels (Optional[int]): Channels of the outputs. Defaults to
            those of the tokens.
        hidden_dims (Sequence[int]): Outputs of the first layer and of each
            edge convolution, whose outputs the last layer sees together.
        num_neighbors (int): Neighbors of a token, itself included. Defaults
            to 4.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 out_channels: Optional[int] = None,
                 hidden_dims: Sequence[int] = (128, 256, 512, 512, 1024),
                 num_neighbors: int = 4,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        out_channels = out_channels or embed_dims
        self.num_neighbors = num_neighbors
        self.first_layer = nn.Linear(embed_dims, hidden_dims[0])
        self.edge_layers = nn.ModuleList(
            EdgeConv(*pair) for pair in zip(hidden_dims, hidden_dims[1:]))
        self.last_layer = nn.Linear(
            sum(hidden_dims[1:]), out_channels, bias=False)
        self.last_norm = nn.GroupNorm(GROUPS, out_channels)

    def forward(self,
                x: Tensor,
                centers: Tensor,
                is_padding: Optional[Tensor] = None,
                num_tokens: Optional[np.ndarray] = None) -> Tensor:
        """Mix neighboring tokens.

        Args:
            x (Tensor): (B, G, C) token features.
            centers (Tensor): (B, G, 3) token centers, meters.
            is_padding (Optional[Tensor]): (B, G) bool.
            num_tokens (Optional[np.ndarray]): (B,) tokens of each scene.

        Returns:
            Tensor: (B, G, C').

        Raises:
            ValueError: When there is padding.
        """
        if is_padding is not None and find_packing(is_padding, num_tokens):
            raise UserError('the graph of token centers needs scenes of equal '
                            'size, without padding: set tokenizer to a '
                            'KNNTokenizer')
        places = centers.detach().float().contiguous()
        neighbors = knn(self.num_neighbors, places, places)
        neighbors = neighbors.transpose(1, 2).long()
        x, outputs = self.first_layer(x), []
        for layer in self.edge_layers:
            x = layer(x, neighbors)
            outputs.append(x)
        x = self.last_layer(torch.cat(outputs, dim=-1))
        return F.leaky_relu(self.last_norm(x.transpose(1, 2)),
                            SLOPE).transpose(1, 2)
