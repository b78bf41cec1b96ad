"""DPCo (Li and Heizmann, ECCV 2022) on the tokens of scene frames.

Shapes: B frames, N points, G tokens, S pixels of a depth view's edge, M cells
of its map, C channels.
"""
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor, nn

from sam3d_plugin.models.losses import FeatureQueue
from sam3d_plugin.models.pretrainers import (BasePretrainer, MomentumEncoder,
                                             split_views)
from sam3d_plugin.ops.propagation import gather_tokens
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.structures import PointTokens
from .depth_unet import STRIDE


class FormatFeatures(NamedTuple):
    """What the networks of both formats make of the same frames."""

    tokens: PointTokens  # G tokens of the points
    token_features: Tensor  # (B, G, C)
    cell_features: Tensor  # (B, M, C)
    points: Tensor  # (B, C') the feature of all points
    depth: Tensor  # (B, C') the feature of the depth view


class FormatNetworks(nn.ModuleDict):
    """A network on points and one on depth images, each with a projector."""

    def forward(self, points: Tensor, depth: Tensor) -> FormatFeatures:
        """Encode both formats.

        Args:
            points (Tensor): (B, N, 3 + D).
            depth (Tensor): (B, 1, S, S) meters, 0 = none.

        Returns:
            FormatFeatures: Features of tokens, cells and frames.
        """
        tokens, encoded = self['backbone'].encode(points)
        cells = self['depth_network'](depth).flatten(2).transpose(1, 2)
        is_empty = F.max_pool2d(depth, STRIDE).flatten(1) == 0
        return FormatFeatures(tokens, encoded, cells,
                              self['projector'](encoded, tokens.is_padding),
                              self['depth_projector'](cells, is_empty))


def pair_cells(cells: Tensor, tokens: PointTokens) -> Tuple[Tensor, Tensor]:
    """Pair each token with the cell that shows its anchor point.

    Args:
        cells (Tensor): (B, N) int64 cell of each point, -1 = none.
        tokens (PointTokens): G tokens of these points.

    Returns:
        Tuple[Tensor, Tensor]: (B, G) int64 cells, and (B, G) bool, whether
        there is one that no earlier token has.
    """
    found = cells.gather(1, tokens.anchor_indices)
    is_pair = (found >= 0) & ~tokens.is_padding
    is_same = (found[:, :, None] == found[:, None]) & is_pair[:, None]
    is_pair = is_pair & ~is_same.tril(-1).any(-1)
    return found.clamp(min=0), is_pair


@MODELS.register_module()
class DPCo(BasePretrainer):
    """Contrast points with depth images of the same frame (section 3).

    Of two independent draws of a frame the first makes queries, and slow
    copies of the networks make keys of the second. A token must find the cell
    of the depth view that shows it among the paired cells of its frame, and
    the other way round; the feature of one format must find that of the other
    one of the same frame among those of earlier frames.

    Args:
        depth_network (dict): Config of a ``DepthUNet``; its channels are those
            of the tokens.
        projector (dict): Config of a ``GlobalProjector``, one for each format.
        local_contrast (dict): Config of an ``InfoNCELoss`` of tokens and
            cells.
        global_contrast (dict): Config of an ``InfoNCELoss`` of frames.
        queue_size (int): Features of earlier frames, of each format.
        momentum (float): Share of the copies that a step keeps.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    views = 2

    def __init__(self, *, depth_network: dict, projector: dict,
                 local_contrast: dict, global_contrast: dict, queue_size: int,
                 momentum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        channels = self.backbone.encoder.embed_dims
        self.depth_network = MODELS.build(
            dict(depth_network, out_channels=channels))
        self.projector = MODELS.build(projector)
        self.depth_projector = MODELS.build(projector)
        self.local_contrast = MODELS.build(local_contrast)
        self.global_contrast = MODELS.build(global_contrast)
        self.key_networks = MomentumEncoder(self.networks, momentum)
        self.point_queue, self.depth_queue = (
            FeatureQueue(queue_size, self.projector.out_channels)
            for _ in range(2))

    @property
    def networks(self) -> FormatNetworks:
        """FormatNetworks: What the copies follow."""
        return FormatNetworks({
            name: getattr(self, name)
            for name in ('backbone', 'projector', 'depth_network',
                         'depth_projector')
        })

    def init_weights(self) -> None:
        """Initialize; the copies start as the networks do."""
        super().init_weights()
        self.key_networks.restart(self.networks)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Contrast both formats.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, 2, N, 3 + D), and of
                ``DepthViews`` ``depth_views`` (B, 2, 1, S, S) and ``cells``
                (B, 2, N).
            data_samples (Optional[List[Det3DDataSample]]): Unused.

        Returns:
            Dict[str, Tensor]: ``loss_local`` and ``loss_global``, halved, and
            ``num_pairs``, the mean number of matched tokens.

        Raises:
            UserError: For a batch without two views or depth views.
        """
        first, second = split_views(inputs['points'])
        if not {'depth_views', 'cells'} <= inputs.keys():
            raise UserError('a batch has no depth_views and cells: put '
                            'DepthViews into train_pipeline and its keys into '
                            'PackPretrainInputs')
        if self.training:
            self.key_networks.update(self.networks)
        depth = inputs['depth_views']
        queries = self.networks(first, depth[:, 0])
        keys = self.key_networks(second, depth[:, 1])
        cells, is_pair = pair_cells(inputs['cells'][:, 0], queries.tokens)
        local = self.local_contrast(
            queries.token_features, gather_tokens(queries.cell_features,
                                                  cells), is_pair)
        return dict(
            loss_local=local / 2,
            loss_global=self.contrast_frames(queries, keys) / 2,
            num_pairs=is_pair.sum(1).float().mean())

    def contrast_frames(self, queries: FormatFeatures,
                        keys: FormatFeatures) -> Tensor:
        """Contrast each format with the other one's keys, which are queued.

        Args:
            queries (FormatFeatures): Of the first draw.
            keys (FormatFeatures): Of the second draw, without gradient.

        Returns:
            Tensor: () mean of both directions.
        """
        losses = []
        for mine, theirs, queue in ((queries.depth, keys.points,
                                     self.point_queue),
                                    (queries.points, keys.depth,
                                     self.depth_queue)):
            # Each frame is a set of its own: its negatives are in the queue.
            losses.append(
                self.global_contrast(
                    mine[:, None], theirs[:, None], queue=queue()))
            if self.training:
                queue.push(theirs)
        return (losses[0] + losses[1]) / 2
