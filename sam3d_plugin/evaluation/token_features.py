"""Features of a frozen encoder at the points of frames.

Shapes: F frames, B frames of a batch, N points, G tokens of a frame, T
tokens of all frames, C channels.
"""
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, List, Sequence, Tuple, Union

import torch
from mmdet3d.registry import DATASETS, MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.dataset import BaseDataset
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..datasets.seeding import SampleKey
from ..models.backbones import SparseUNetBackbone, TokenEncoder
from ..models.target_generators import RegionFeatureTargets
from ..models.tokenizers.region_majority import majority_regions
from ..ops import three_nn
from ..ops.propagation import inverse_distance_weights
from ..ops.random_state import keep_random_state
from ..store.errors import UserError
from ..structures import PointTokens


@dataclass
class TokenFeatures:
    """Token features of some frames, and how points read them."""

    features: Tensor  # (T, C) float32
    # (F, N) int64, the token of each point; where tokens overlap or leave
    # points out, the one with the nearest center
    own: Tensor
    # (F, N, 3) int64, the tokens of the frame with the nearest centers
    nearest: Tensor
    # (F, N, 3) float32, inverse distances to them, each point's summing to 1
    weights: Tensor
    labels: Tensor  # (F, N) int64, -1 = unlabeled


FrozenEncoder = Union[TokenEncoder, SparseUNetBackbone]


def build_frozen(meta: Dict[str, Any], state: Dict[str,
                                                   Tensor]) -> FrozenEncoder:
    """Build the encoder of a pre-training, in eval mode, without gradients.

    ``meta`` and ``state`` are those of :func:`..engine.export.read_encoder`.
    """
    with keep_random_state():
        encoder: FrozenEncoder
        if 'unet' in meta:
            encoder = SparseUNetBackbone(meta['voxel_size'], meta['unet'])
        else:
            encoder = TokenEncoder(meta['tokenizer'], meta['embedding'],
                                   meta['encoder'])
    encoder.load_state_dict(state)
    return encoder.eval().requires_grad_(False)


class RegionFeatureReader(nn.Module):
    """The 2D features that stage 1 distills, at the tokens that learn them.

    What a linear layer reads from these, says how much the image features
    know about the classes.

    Args:
        meta (Dict[str, Any]): ``tokenizer``, its config.
    """

    def __init__(self, meta: Dict[str, Any]) -> None:
        super().__init__()
        if 'tokenizer' not in meta:
            raise UserError('region features are read at tokens, and this '
                            'pre-training is on voxels: take one on tokens')
        self.tokenizer = MODELS.build(meta['tokenizer'])
        self.targets = RegionFeatureTargets()

    @torch.no_grad()
    def encode(
            self, points: Tensor, data_samples: Sequence[Det3DDataSample]
    ) -> Tuple[PointTokens, Tensor]:
        """Look up the feature of each token's region.

        Args:
            points (Tensor): (B, N, 4) x, y, z in meters, region id.
            data_samples (Sequence[Det3DDataSample]): B frames with
                ``regions``.

        Returns:
            Tuple[PointTokens, Tensor]: The tokens, and their features
            (B, G, C), 0 for tokens in no region.
        """
        xyz, ids = points[..., :3].contiguous(), points[..., 3].long()
        tokens = self.tokenizer(xyz, ids)
        if not self.tokenizer.uses_regions:
            tokens = replace(tokens, region_ids=majority_regions(tokens, ids))
        targets = self.targets(xyz, tokens, data_samples)
        return tokens, targets.features * targets.is_target[..., None]


Encoder = Union[FrozenEncoder, RegionFeatureReader]


def labelled_frames(data_root: str,
                    scans: str,
                    num_points: int,
                    with_regions: bool = False) -> Any:
    """Frames as pre-training reads them, unaugmented, with true classes.

    ``scans`` is a list, relative to ``data_root`` or absolute.
    """
    load = [dict(type='LoadRegionTargets')] if with_regions else []
    return DATASETS.build(
        dict(
            _scope_='mmdet3d',
            type='RGBDFrameDataset',
            data_root=data_root,
            ann_file=scans,
            test_mode=True,
            pipeline=[
                dict(
                    type='LoadRGBDPoints',
                    num_points=num_points,
                    columns=('region', 'pixel')),
                *load,
                dict(type='LoadFrameLabels', data_root=data_root),
                dict(type='PackPretrainInputs'),
            ]))


def encode_frames(encoder: Encoder,
                  dataset: BaseDataset,
                  seed: int = 0,
                  batch_size: int = 8,
                  device: str = 'cpu') -> TokenFeatures:
    """Encode every frame of a dataset once; ``seed`` says which points.

    Raises ValueError when a feature is not finite.
    """
    parts: List[TokenFeatures] = []
    num_tokens = 0
    for points, samples in _batches(dataset, seed, batch_size):
        points = points.to(device)
        labels = torch.stack([s.gt_pts_seg.pts_semantic_mask for s in samples])
        with torch.no_grad():
            tokens, features = encoder.encode(points, samples)
        part = read_tokens(points[..., :3], tokens, features,
                           labels.to(device))
        part.own = part.own + num_tokens
        part.nearest = part.nearest + num_tokens
        num_tokens += len(part.features)
        parts.append(part)
    joined = TokenFeatures(*(torch.cat([getattr(part, name) for part in parts])
                             for name in TokenFeatures.__dataclass_fields__))
    if not torch.isfinite(joined.features).all():
        raise UserError('the encoder gives features that are NaN or '
                        'infinite: its training diverged')
    return joined


@torch.no_grad()
def measure_norms(encoder: Encoder,
                  dataset: BaseDataset,
                  seed: int = 0,
                  batch_size: int = 8,
                  device: str = 'cpu') -> None:
    """Give an untrained encoder the batch statistics that it has not seen.

    With those of its initialization, mean 0 and variance 1, the norms would
    do nothing, and a training would be credited for what one pass over the
    frames does.

    Args:
        encoder (Encoder): In eval mode; changed in place.
        dataset (BaseDataset): Frames, of which one pass is made.
        seed (int): Says which points.
        batch_size (int): Frames of a batch.
        device (str): Where the encoder is.
    """
    norms = [m for m in encoder.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    for points, samples in _batches(dataset, seed,
                                    batch_size) if norms else ():
        encoder.encode(points.to(device), samples)
    encoder.eval()


def _batches(
        dataset: BaseDataset, seed: int,
        batch_size: int) -> Iterator[Tuple[Tensor, List[Det3DDataSample]]]:
    """Points (B, N, 4) and data samples, in order."""
    for begin in range(0, len(dataset), batch_size):
        end = min(begin + batch_size, len(dataset))
        frames = [dataset[SampleKey(i, seed=seed)] for i in range(begin, end)]
        yield (torch.stack([f['inputs']['points'] for f in frames]),
               [f['data_samples'] for f in frames])


def read_tokens(xyz: Tensor, tokens: PointTokens, features: Tensor,
                labels: Tensor) -> TokenFeatures:
    """Find the tokens that the points of a batch read.

    Args:
        xyz (Tensor): (B, N, 3) meters.
        tokens (PointTokens): Of these points.
        features (Tensor): (B, G, C) of the tokens.
        labels (Tensor): (B, N) int64.

    Returns:
        TokenFeatures: Tokens without padding, counted over the batch.
    """
    is_token = ~tokens.is_padding
    # (B * G,) number of each token when padding is left out.
    numbers = is_token.reshape(-1).long().cumsum(0) - 1
    first = numbers.reshape(is_token.shape)[:, :1, None]
    found = [
        three_nn(points[None], centers[kept][None])
        for points, centers, kept in zip(xyz, tokens.centers, is_token)
    ]
    # A frame's padding comes last, so its tokens are numbered in one run.
    nearest = torch.cat([indices for _, indices in found]).long() + first
    distances = torch.cat([distances for distances, _ in found])
    own = nearest[..., 0]
    if tokens.point_tokens is not None:
        own = first[..., 0] + tokens.point_tokens
    return TokenFeatures(features[is_token].float(), own, nearest,
                         inverse_distance_weights(distances), labels)
