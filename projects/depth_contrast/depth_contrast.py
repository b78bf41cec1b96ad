"""DepthContrast (Zhang et al., ICCV 2021) on the tokens of scene frames.

Shapes: B scenes, N points, K queued keys, C channels.
"""
from typing import Any, Dict, List, Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor, nn

from sam3d_plugin.models.losses import FeatureQueue, QueuedKeys
from sam3d_plugin.models.pretrainers import (BasePretrainer, MomentumEncoder,
                                             split_views)


class ViewNetwork(nn.Module):
    """One feature of each cloud: (B, N, 3 + D) points to (B, C)."""

    def __init__(self, backbone: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.projector = projector

    def forward(self, points: Tensor) -> Tensor:
        """Encode, pool and project."""
        tokens, features = self.backbone.encode(points)
        return self.projector(features, tokens.is_padding)


@MODELS.register_module()
class DepthContrast(BasePretrainer):
    """Tell the other view of a frame from other frames (section 3.1).

    The feature of a view is compared with that of the other view, which a
    slowly moving copy of the network makes, and with those of earlier frames.

    Args:
        projector (dict): Config of a ``GlobalProjector``.
        contrast (dict): Config of an ``InfoNCELoss``.
        queue_size (int): Features of earlier frames K.
        momentum (float): Share of the copy that a step keeps.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    views = 2

    def __init__(self, *, projector: dict, contrast: dict, queue_size: int,
                 momentum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.projector = MODELS.build(projector)
        self.contrast = MODELS.build(contrast)
        self.key_network = MomentumEncoder(self.network, momentum)
        self.queue = FeatureQueue(queue_size, self.projector.out_channels)

    @property
    def network(self) -> ViewNetwork:
        """ViewNetwork: What the key network follows."""
        return ViewNetwork(self.backbone, self.projector)

    def init_weights(self) -> None:
        """Initialize; the copy starts as the network does."""
        super().init_weights()
        self.key_network.restart(self.network)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Contrast the first view with the second.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, 2, N, 3 + D).
            data_samples (Optional[List[Det3DDataSample]]): Unused.

        Returns:
            Dict[str, Tensor]: ``loss_contrast``, and ``accuracy``, the share
            of frames whose own key is nearer than all queued ones.
        """
        first, second = split_views(inputs['points'])
        if self.training:
            self.key_network.update(self.network)
        queries, keys = self.network(first), self.key_network(second)
        queue = self.queue()
        # Each frame is a set of its own: its negatives are in the queue.
        loss = self.contrast(queries[:, None], keys[:, None], queue=queue)
        if self.training:
            self.queue.push(keys)
        return dict(
            loss_contrast=loss, accuracy=found_share(queries, keys, queue))


@torch.no_grad()
def found_share(queries: Tensor, keys: Tensor, queue: QueuedKeys) -> Tensor:
    """Share of queries that are nearer to their key than to queued ones.

    Args:
        queries (Tensor): (B, C).
        keys (Tensor): (B, C).
        queue (QueuedKeys): K keys of other frames.

    Returns:
        Tensor: () the share; 1 while the queue is empty.
    """
    with torch.autocast(queries.device.type, enabled=False):
        queries, keys, others = (
            F.normalize(features.float(), dim=-1)
            for features in (queries, keys, queue.features))
        similarities = queries @ others.T
        similarities = similarities.masked_fill(~queue.is_filled, -torch.inf)
        is_found = (queries * keys).sum(-1) > similarities.amax(-1)
    return is_found.float().mean()
