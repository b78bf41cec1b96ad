"""Contrastive Scene Contexts (Hou et al., CVPR 2021) on tokens of frames.

Shapes: S scenes, P point pairs, K bins, C channels.
"""
from typing import Sequence

import torch
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.models.heads import frame_mean
from sam3d_plugin.models.pretrainers import PointPairPretrainer, PointPairs
from sam3d_plugin.store.errors import UserError


def scene_partition(places: Tensor,
                    radii: Sequence[float] = (0.05, 0.5),
                    by_height: bool = True) -> Tensor:
    """Say in which part of the scene around a point the others are.

    Args:
        places (Tensor): (S, P, 3) points, z up, meters.
        radii (Sequence[float]): Where shells around the point begin, meters;
            each ends where the next begins, the last one nowhere.
        by_height (bool): Whether shells are split into what is above the
            point and what is below. Defaults to True.

    Returns:
        Tensor: (S, P, P) int64, bin of point j as seen from point i: that of
        the shell or, by height, twice that, and 1 more above. -1 for j at
        most the first radius away, or as high as i.
    """
    offsets = places[:, None] - places[:, :, None]
    bounds = torch.tensor(radii, dtype=places.dtype, device=places.device)
    shells = torch.bucketize(offsets.norm(dim=-1), bounds) - 1
    if not by_height:
        return shells
    rise = offsets[..., 2]
    bins = 2 * shells + (rise > 0)
    return bins.masked_fill((shells < 0) | (rise == 0), -1)


@MODELS.register_module()
class PartitionedInfoNCELoss(nn.Module):
    """InfoNCE in every part of the scene around a point (section 3.2).

    A query is compared with its own key and those of one bin at a time.

    Args:
        temperature (float): Divides the similarities. Defaults to 0.4.
        radii (Sequence[float]): See :func:`scene_partition`. Defaults to
            (0.05, 0.5), which are 2 and 20 published voxels.
        by_height (bool): See :func:`scene_partition`. Defaults to True.
        normalize (str): ``'filled'``, the mean over the bins that have keys;
            ``'published'``, the mean over all bins, where empty ones count
            as 0. Then the mean over scenes. Defaults to ``'filled'``.
    """

    def __init__(self,
                 temperature: float = 0.4,
                 radii: Sequence[float] = (0.05, 0.5),
                 by_height: bool = True,
                 normalize: str = 'filled') -> None:
        super().__init__()
        if normalize not in ('filled', 'published'):
            raise UserError(f'normalize {normalize!r} is unknown; choose '
                            'filled or published')
        if not radii or list(radii) != sorted(radii) or radii[0] < 0:
            raise UserError(f'radii {tuple(radii)} must rise from 0 or more')
        self.temperature = temperature
        self.radii = tuple(radii)
        self.by_height = by_height
        self.normalize = normalize

    @property
    def num_bins(self) -> int:
        """int: K."""
        return len(self.radii) * (1 + self.by_height)

    def forward(self, queries: Tensor, keys: Tensor, is_pair: Tensor,
                places: Tensor) -> Tensor:
        """Compute the loss, in float32.

        Args:
            queries (Tensor): (S, P, C), length 1.
            keys (Tensor): (S, P, C), length 1.
            is_pair (Tensor): (S, P) bool, see ``InfoNCELoss``.
            places (Tensor): (S, P, 3) where the queries are, z up, meters.

        Returns:
            Tensor: () the loss; a scene without pairs counts as 0.
        """
        with torch.autocast(queries.device.type, enabled=False):
            queries = queries.float() / self.temperature
            similarities = queries @ keys.float().transpose(1, 2)
        own = similarities.diagonal(dim1=1, dim2=2)
        bins = scene_partition(places, self.radii, self.by_height)
        bins = bins.masked_fill(~is_pair[:, None], -1)
        losses, is_counted = [], []
        for number in range(self.num_bins):
            is_negative = bins == number
            # The own key stands first: adding it keeps empty bins finite.
            negatives = similarities.masked_fill(~is_negative, -torch.inf)
            logits = torch.cat((own[..., None], negatives), dim=-1)
            losses.append(logits.logsumexp(-1) - own)
            is_filled = is_negative.any(-1) | (self.normalize == 'published')
            is_counted.append(is_filled & is_pair)
        return frame_mean(torch.cat(losses, 1), torch.cat(is_counted, 1))


@MODELS.register_module()
class CSC(PointPairPretrainer):
    """Find a point of one frame among those around it in another."""

    def contrast(self, pairs: PointPairs) -> Tensor:
        """Contrast each point with the others of its scene.

        Args:
            pairs (PointPairs): Of B pairs of frames.

        Returns:
            Tensor: () the loss.
        """
        return self.pair_loss(pairs.queries, pairs.keys, pairs.is_pair,
                              pairs.places)
