"""Sonata (Wu et al., CVPR 2025) on the tokens of scene frames.

Shapes: B frames, N points, G tokens, V tokens of a local view, K prototypes,
C channels. Two global views of a frame are 2 B clouds, view fastest.
"""
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor, nn

from sam3d_plugin.models.heads import frame_mean
from sam3d_plugin.models.pretrainers import (BasePretrainer, MomentumEncoder,
                                             origin_columns, split_views)
from sam3d_plugin.models.pretrainers.masking import (block_mask,
                                                     frame_generators,
                                                     grid_mask, select_tokens)
from sam3d_plugin.ops.propagation import gather_tokens
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.store.errors import check_shares
from sam3d_plugin.structures import PointTokens
from .matching import match_tokens, of_other_view
from .prototypes import sinkhorn


class Clouds(NamedTuple):
    """Tokens of the global views and where they were."""

    points: Tensor  # (2 B, N, 3) xyz, meters
    tokens: PointTokens  # 2 B clouds of G tokens
    origins: Tensor  # (2 B, G, 3) centers before augmentation, meters


@MODELS.register_module()
class Sonata(BasePretrainer):
    """Predict how a slow copy assigns tokens to prototypes (section 4).

    The copy, a moving average of backbone and heads, sees both global views.
    The network sees them with masked cells, and local groups of tokens. What
    it predicts for a token is compared with the assignment of the nearest
    token of the same view, and of the other view.

    Args:
        backbone (dict): Config of a ``TokenEncoder``.
        head (dict): Config of a ``PrototypeHead``, one for masked and one for
            local views.
        match_radius (float): Largest distance of the same place in two views,
            meters.
        num_local (int): Local groups of each global view.
        local_ratios (Tuple[float, float]): Share of the tokens in a group.
        mask_sizes (Tuple[float, float]): Edge of masked cells before and
            after the warm-up, meters.
        mask_ratios (Tuple[float, float]): Share of masked cells.
        teacher_temperatures (Tuple[float, float]): Of the assignment.
        temperature (float): Of the prediction.
        warm_up (float): Share of the training in which these rise; 0 starts
            with the last values.
        momentum (float): Share of the copy that a step keeps; rises to 1 with
            the training.
        weights (Tuple[float, float, float]): Of the losses ``loss_mask``,
            ``loss_roll`` and ``loss_local``.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    views = 2

    def __init__(self,
                 *,
                 backbone: dict,
                 head: dict,
                 match_radius: float,
                 num_local: int = 2,
                 local_ratios: Tuple[float, float] = (0.1, 0.4),
                 mask_sizes: Tuple[float, float] = (0.1, 0.4),
                 mask_ratios: Tuple[float, float] = (0.3, 0.7),
                 teacher_temperatures: Tuple[float, float] = (0.04, 0.07),
                 temperature: float = 0.1,
                 warm_up: float = 0.05,
                 momentum: float = 0.994,
                 weights: Tuple[float, float, float] = (0.25, 0.25, 0.5),
                 **kwargs: Any) -> None:
        super().__init__(backbone, **kwargs)
        check_shares('Sonata', warm_up=warm_up)
        self.mask_head = MODELS.build(head)
        self.local_head = MODELS.build(head)
        self.mask_token = nn.Parameter(
            torch.zeros(self.backbone.encoder.embed_dims))
        nn.init.trunc_normal_(self.mask_token, std=.02)
        self.match_radius = match_radius
        self.num_local = num_local
        self.local_ratios = local_ratios
        self.mask_sizes = mask_sizes
        self.mask_ratios = mask_ratios
        self.teacher_temperatures = teacher_temperatures
        self.temperature = temperature
        self.warm_up = warm_up
        self.weights = weights
        self.teacher = MomentumEncoder(self.student, momentum, 1.)

    @property
    def student(self) -> nn.ModuleDict:
        """nn.ModuleDict: What the teacher follows."""
        return nn.ModuleDict(
            dict(
                backbone=self.backbone,
                mask_head=self.mask_head,
                local_head=self.local_head))

    def init_weights(self) -> None:
        """Initialize; the copy starts as the network does."""
        super().init_weights()
        self.teacher.restart(self.student)

    def scheduled(self, ends: Tuple[float, float]) -> float:
        """A value on the way from the first to the second."""
        share = min(self.progress / self.warm_up, 1) if self.warm_up else 1
        return ends[0] + (ends[1] - ends[0]) * share

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Compare masked and local views with the teacher's assignments.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, 2, N, 3 + D), with the
                column ``origin``.
            data_samples (Optional[List[Det3DDataSample]]): B frames, which
                name the columns.

        Returns:
            Dict[str, Tensor]: ``loss_mask``, ``loss_roll``, ``loss_local``.
        """
        if self.training:
            self.teacher.update(self.student, self.progress)
        clouds = self.tokenize(inputs['points'], data_samples)
        targets = self.assign(clouds)
        generators = frame_generators(
            self.seed, self.frame_numbers(len(inputs['points'])))
        # Both views of a frame draw from its generator, one after the other.
        both = [generator for generator in generators for _ in range(2)]
        # Once: norms gather the statistics of whole views only.
        embedded = self.backbone.embedding(clouds.points, clouds.tokens)
        losses = self.mask_losses(clouds, embedded, targets['mask_head'], both)
        losses['loss_local'] = self.local_loss(clouds, embedded,
                                               targets['local_head'], both)
        return {
            name: weight * loss
            for weight, (name, loss) in zip(self.weights, losses.items())
        }

    def tokenize(self, points: Tensor,
                 data_samples: Optional[List[Det3DDataSample]]) -> Clouds:
        """Tokens of both views, and their origins; see :meth:`loss`."""
        clouds = torch.stack(split_views(points), dim=1).flatten(0, 1)
        origin = origin_columns(data_samples, 'Sonata')
        xyz, tokens = self.backbone.tokenize(clouds)
        origins = gather_tokens(clouds[..., origin], tokens.anchor_indices)
        return Clouds(xyz, tokens, origins)

    @torch.no_grad()
    def assign(self, clouds: Clouds) -> Dict[str, Tensor]:
        """Shares (2 B, G, K) of prototypes in tokens by the name of the head.

        All tokens at once: the few that a loss counts would be shared out
        evenly, whatever they are.
        """
        teacher = self.teacher.module
        features = teacher['backbone'].encode_tokens(clouds.points,
                                                     clouds.tokens)
        return {
            name:
            sinkhorn(teacher[name](features), ~clouds.tokens.is_padding,
                     self.scheduled(self.teacher_temperatures))
            for name in ('mask_head', 'local_head')
        }

    def mask_losses(
            self, clouds: Clouds, embedded: Tensor, targets: Tensor,
            generators: List[np.random.Generator]) -> Dict[str, Tensor]:
        """Masked views against the same view and the other one."""
        tokens = clouds.tokens
        is_masked = to_device(
            grid_mask(tokens.centers.cpu().numpy(), tokens.padding_on_cpu,
                      self.scheduled(self.mask_sizes),
                      self.scheduled(self.mask_ratios), generators),
            clouds.points.device)
        embedded = torch.where(is_masked[..., None],
                               self.mask_token.to(embedded.dtype), embedded)
        encoded = self.backbone.encoder(embedded, tokens.centers,
                                        tokens.is_padding, tokens.num_tokens)
        predicted = self.mask_head(encoded)
        is_token = ~tokens.is_padding
        own = self.compare(predicted, targets, is_token)
        other = self.compare_other(predicted, targets, clouds, clouds.origins,
                                   is_token)
        return dict(loss_mask=own, loss_roll=other)

    def local_loss(self, clouds: Clouds, embedded: Tensor, targets: Tensor,
                   generators: List[np.random.Generator]) -> Tensor:
        """Local groups of tokens against the other view."""
        tokens = clouds.tokens
        losses = []
        for _ in range(self.num_local):
            chosen = block_mask(tokens.centers.cpu().numpy(),
                                tokens.padding_on_cpu, self.local_ratios,
                                generators)
            group = select_tokens(tokens, chosen)
            encoded = self.backbone.encoder(
                gather_tokens(embedded, group.indices), group.tokens.centers,
                group.tokens.is_padding, group.tokens.num_tokens)
            losses.append(
                self.compare_other(
                    self.local_head(encoded), targets, clouds,
                    gather_tokens(clouds.origins, group.indices),
                    ~group.tokens.is_padding))
        return torch.stack(losses).mean()

    def compare_other(self, predicted: Tensor, targets: Tensor, clouds: Clouds,
                      origins: Tensor, is_token: Tensor) -> Tensor:
        """Compare tokens with the nearest ones of the other view."""
        places, is_matched = match_tokens(
            origins, of_other_view(clouds.origins),
            of_other_view(~clouds.tokens.is_padding), self.match_radius)
        return self.compare(predicted,
                            gather_tokens(of_other_view(targets), places),
                            is_matched & is_token)

    def compare(self, predicted: Tensor, targets: Tensor,
                is_counted: Tensor) -> Tensor:
        """Cross entropy of predicted and assigned prototypes.

        Args:
            predicted (Tensor): (2 B, V, K) scores of the network.
            targets (Tensor): (2 B, V, K) shares of the prototypes.
            is_counted (Tensor): (2 B, V) bool.

        Returns:
            Tensor: () mean over the counted tokens of a cloud, then clouds.
        """
        predicted = (predicted / self.temperature).log_softmax(-1)
        return frame_mean(-(targets * predicted).sum(-1), is_counted)
