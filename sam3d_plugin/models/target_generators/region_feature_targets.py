"""2D features of regions as targets of the tokens in them."""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor, nn

from sam3d_plugin.ops.transfer import require, to_device
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError


class RegionTargets(NamedTuple):
    """Target of each token, or of other places that are in regions."""

    features: Tensor  # (B, G, C) float32 feature of the token's region
    # (B, G) int64 group of that region; None when the frames come without
    # groups
    group_ids: Optional[Tensor]
    # (B, G) bool, False for padding and for tokens in no region, whose
    # features and groups mean nothing
    is_target: Tensor


@MODELS.register_module()
class RegionFeatureTargets(nn.Module):
    """Find each token's region among those of its frame, by id."""

    uses_regions = True

    def forward(self, points: Tensor, tokens: PointTokens,
                data_samples: Sequence[Det3DDataSample]) -> RegionTargets:
        """Match tokens with region features.

        Args:
            points (Tensor): (B, N, 3); unused.
            tokens (PointTokens): Tokens with region ids.
            data_samples (Sequence[Det3DDataSample]): B frames, each with
                ``regions``: ids (R,) int64, features (R, C) and, for
                balancing, group_ids (R,) int64, on any device.

        Returns:
            RegionTargets: On the device of the tokens.

        Raises:
            ValueError: When a frame has no regions, a feature is not finite,
                an id occurs twice, or a token's region has no feature.
        """
        region_ids = tokens.region_ids.masked_fill(tokens.is_padding, 0)
        return look_up_regions(region_ids, data_samples)


@torch.no_grad()
def look_up_regions(region_ids: Tensor,
                    data_samples: Sequence[Det3DDataSample]) -> RegionTargets:
    """Find what is stored for the region of each place.

    Args:
        region_ids (Tensor): (B, M) int64 region of each place, 0 = none.
        data_samples (Sequence[Det3DDataSample]): B frames, see
            :class:`RegionFeatureTargets`.

    Returns:
        RegionTargets: Of M places, on their device.

    Raises:
        ValueError: See :class:`RegionFeatureTargets`.
    """
    for sample in data_samples:
        _check_regions(sample)
    device = region_ids.device
    regions = [sample.regions for sample in data_samples]
    frames = torch.repeat_interleave(
        torch.arange(len(regions)), torch.tensor([len(r) for r in regions]))
    frames = to_device(frames, device)
    ids = to_device(torch.cat([r.ids for r in regions]), device)
    features = to_device(torch.cat([r.features for r in regions]), device)
    rows, is_found = _find_rows(region_ids, frames, ids)
    is_target = region_ids > 0
    is_lost = is_target & ~is_found
    require(
        ~is_lost.any(), lambda: ValueError(
            _without_feature(region_ids, is_lost, data_samples)))
    group_ids = None
    if all('group_ids' in r for r in regions):
        group_ids = to_device(
            torch.cat([r.group_ids for r in regions]), device)
        group_ids = group_ids[rows].long()
    return RegionTargets(features[rows].float(), group_ids, is_target)


def _find_rows(token_ids: Tensor, frames: Tensor,
               ids: Tensor) -> Tuple[Tensor, Tensor]:
    """Look up the region of each token.

    Args:
        token_ids (Tensor): (B, G) int64 region id of each token.
        frames (Tensor): (R,) int64 frame of each region of the batch.
        ids (Tensor): (R,) int64 its id within the frame.

    Returns:
        Tuple[Tensor, Tensor]: The row (B, G) int64 of each token's region,
        and (B, G) bool whether there is one.
    """
    stride = torch.maximum(ids.max(), token_ids.max()) + 1
    first_key = torch.arange(len(token_ids), device=ids.device) * stride
    wanted = first_key[:, None] + token_ids
    keys, order = torch.sort(frames * stride + ids)
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return order[places], keys[places] == wanted


def name_frame(sample: Det3DDataSample) -> str:
    """Name the frame of a data sample for an error."""
    meta = sample.metainfo
    return f'frame {meta.get("frame", "?")} of scan {meta.get("scan", "?")}'


def _check_regions(sample: Det3DDataSample) -> None:
    """Refuse regions that cannot be targets.

    Args:
        sample (Det3DDataSample): One frame.
    """
    regions = sample.get('regions')
    if regions is None or 'features' not in regions:
        raise UserError(
            f'{name_frame(sample)} comes without region features: put '
            'LoadRegionTargets into the pipeline and name the region_features '
            'folder in the dataset')
    if len(regions) == 0:
        raise UserError(
            f'{name_frame(sample)} has no regions: leave the frame out, or '
            'make its regions with tools/preparation/generate_regions.py')
    if not torch.isfinite(regions.features).all():
        raise UserError(
            f'{name_frame(sample)} has a region feature that is NaN or '
            'infinite: find damage with tools/preparation/verify.py and '
            'make the features again with extract_features.py')
    if len(regions.ids.unique()) < len(regions):
        raise UserError(f'{name_frame(sample)} names a region twice: make '
                        'its features again with extract_features.py')


def _without_feature(token_ids: Tensor, is_lost: Tensor,
                     data_samples: Sequence[Det3DDataSample]) -> str:
    """Say which region has points but no feature."""
    where = 'points are in a region'
    if not is_lost.is_cuda:  # where the answer is still to come
        places: List[List[int]] = is_lost.nonzero().tolist()
        scene, place = places[0]
        where = (f'{name_frame(data_samples[scene])}: points are in region '
                 f'{int(token_ids[scene, place])}')
    return (f'{where}, which has no feature; region maps and features are of '
            'different runs: run tools/preparation/extract_features.py again')
