"""Point-BERT's tokenizer: a discrete variational autoencoder of tokens.

Yu et al., Point-BERT, CVPR 2022, section 3.2.

Shapes: B scenes, G tokens, K points of a token, C channels, V codes.
"""
import math
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.pretrainers import TokenPretrainer
from sam3d_plugin.models.pretrainers.masking import frame_generators
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.structures import PointTokens


@MODELS.register_module()
class Codebook(BaseModule):
    """The vectors (V, C) that tokens are composed of.

    Args:
        num_codes (int): Codes V.
        embed_dims (int): Channels C. Defaults to 256.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 num_codes: int,
                 embed_dims: int = 256,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.weight = nn.Parameter(torch.randn(num_codes, embed_dims))

    def forward(self, codes: Tensor) -> Tensor:
        """Vectors (..., C) of codes (...), or of shares (..., V) of each."""
        if codes.is_floating_point():
            return codes @ self.weight
        return self.weight[codes]


@MODELS.register_module()
class FoldingHead(BaseModule):
    """Points of every token: a few coarse ones, each unfolded to 2 x 2.

    Args:
        num_neighbors (int): Points K of a token, a multiple of 4.
        in_channels (int): Channels of the tokens. Defaults to 256.
        hidden_dims (Tuple[int, int]): Widths of the layers of coarse and of
            fine points. Defaults to (1024, 512).
        loss (dict): Config of a distance of point sets.
        init_cfg (Optional[dict]): Initialization config.
    """

    grid: Tensor

    def __init__(self,
                 num_neighbors: int,
                 in_channels: int = 256,
                 hidden_dims: Tuple[int, int] = (1024, 512),
                 loss: dict = dict(type='ChamferLoss', norm='l1'),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if num_neighbors % 4:
            raise UserError(f'num_neighbors of FoldingHead is {num_neighbors},'
                            ' which is not a multiple of 4')
        self.num_neighbors = num_neighbors
        self.distance = MODELS.build(loss)
        coarse, fine = hidden_dims
        self.coarse_layers = nn.Sequential(
            nn.Linear(in_channels, coarse), nn.ReLU(inplace=True),
            nn.Linear(coarse, coarse), nn.ReLU(inplace=True),
            nn.Linear(coarse, 3 * num_neighbors // 4))
        # One layer over (token, coarse point, place in the grid), as two that
        # see each token once.
        self.token_layer = nn.Linear(in_channels, fine)
        self.point_layer = nn.Linear(5, fine, bias=False)
        self.fine_layers = nn.Sequential(
            nn.BatchNorm1d(fine), nn.ReLU(inplace=True), nn.Linear(fine, fine),
            nn.BatchNorm1d(fine), nn.ReLU(inplace=True), nn.Linear(fine, 3))
        side = torch.tensor([-0.05, 0.05])  # meters
        self.register_buffer(
            'grid', torch.cartesian_prod(side, side), persistent=False)

    def forward(self, decoded: Tensor) -> Tuple[Tensor, Tensor]:
        """Coarse (B, G, K / 4, 3) and fine points (B, G, K, 3), meters from
        the center, of decoded tokens (B, G, C)."""
        coarse = self.coarse_layers(decoded).unflatten(-1, (-1, 3))
        starts = coarse.repeat_interleave(4, dim=2)
        grid = self.grid.repeat(coarse.shape[2],
                                1).expand(*starts.shape[:3], -1)
        hidden = self.point_layer(torch.cat((starts, grid.to(starts)), dim=-1))
        hidden = hidden + self.token_layer(decoded)[:, :, None]
        offsets = self.fine_layers(hidden.flatten(0, 2))
        return coarse, starts + offsets.view_as(starts)

    def loss(self, decoded: Tensor, targets: Tensor) -> Dict[str, Tensor]:
        """Compare with the points (B, G, K, 3) of all tokens (B, G, C).

        Returns ``loss_coarse`` and ``loss_fine``, meters.
        """
        if targets.shape[2] != self.num_neighbors:
            raise UserError(f'tokens have {targets.shape[2]} points, the '
                            f'head predicts {self.num_neighbors}: give '
                            'tokenizer and head the same num_neighbors')
        coarse, fine = (
            self.distance(points.float().flatten(0, 1),
                          targets.flatten(0, 1)).mean()
            for points in self(decoded))
        return dict(loss_coarse=coarse, loss_fine=fine)


class CodedTokens(NamedTuple):
    """Outputs of the autoencoder for a batch."""

    logits: Tensor  # (B, G, V) float32
    decoded: Tensor  # (B, G, C) features that points are predicted from


def uniform_divergence(logits: Tensor) -> Tensor:
    """KL(uniform || mean over the tokens of softmax), mean over scenes.

    Args:
        logits (Tensor): (B, G, V) float32.

    Returns:
        Tensor: () 0 if all codes are used alike; unbounded if one is not.
    """
    log_used = logits.log_softmax(-1).logsumexp(1) - math.log(logits.shape[1])
    return (-math.log(logits.shape[-1]) - log_used.mean(-1)).mean()


def gumbel_noise(logits: Tensor,
                 generators: Sequence[np.random.Generator]) -> Tensor:
    """Gumbel noise like ``logits`` (B, G, V), of one generator per scene."""
    noise = torch.empty_like(logits)
    for scene, generator in zip(noise, generators):
        torch_generator = torch.Generator(scene.device)
        torch_generator.manual_seed(int(generator.integers(2**62)))
        scene.exponential_(generator=torch_generator)
    return -noise.clamp(min=1e-20).log()


@MODELS.register_module()
class DiscreteVAE(TokenPretrainer):
    """Describe each token by a code, and its points by codes nearby.

    The encoder of the backbone gives logits of codes; a Gumbel softmax of
    them weighs the vectors of the codebook, which the decoder mixes along
    the graph of centers. Outside training a token has its best code.

    Args:
        codebook (dict): Config of a :class:`Codebook`.
        temperatures (Tuple[float, float]): Of the Gumbel softmax, from the
            start of the training to its end, as a cosine. Defaults to
            (1, 0.0625).
        uniform_weight (float): Factor of the loss that wants all codes used,
            at the end. It is 0 in the first tenth of the training, then rises
            as a cosine. Defaults to 0.1.
        **kwargs (Any): See :class:`TokenPretrainer`; the head is a
            :class:`FoldingHead`.
    """

    def __init__(self,
                 *,
                 codebook: dict,
                 temperatures: Tuple[float, float] = (1., 0.0625),
                 uniform_weight: float = 0.1,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.codebook = MODELS.build(codebook)
        self.temperatures = temperatures
        self.uniform_weight = uniform_weight

    @property
    def temperature(self) -> float:
        """float: Of the Gumbel softmax, now."""
        first, last = self.temperatures
        return first + (last - first) * _rise(self.progress)

    def code_shares(self, logits: Tensor) -> Tensor:
        """Share (B, G, V) of each code; outside training the code (B, G)."""
        if not self.training:
            return logits.argmax(-1)
        generators = frame_generators(self.seed,
                                      self.frame_numbers(len(logits)))
        noisy = logits + gumbel_noise(logits, generators)
        return (noisy / self.temperature).softmax(-1)

    def predict(self, points: Tensor, tokens: PointTokens) -> CodedTokens:
        """See :class:`TokenPretrainer`."""
        logits = self.backbone.encode_tokens(points, tokens).float()
        vectors = self.codebook(self.code_shares(logits))
        decoded = self.decoder(vectors, tokens.centers, tokens.is_padding,
                               tokens.num_tokens)
        return CodedTokens(logits, decoded)

    def compute_losses(self, outputs: CodedTokens, tokens: PointTokens,
                       targets: Tensor) -> Dict[str, Tensor]:
        """Compare points; let no code be left out."""
        weight = self.uniform_weight * _rise((self.progress - .1) / .9)
        losses = self.head.loss(outputs.decoded, targets)
        losses['loss_uniform'] = weight * uniform_divergence(outputs.logits)
        return losses


def _rise(progress: float) -> float:
    """From 0 to 1 as a cosine."""
    return (1 - math.cos(math.pi * min(max(progress, 0), 1))) / 2
