"""Features that a frozen encoder gives to the points of frames.

Axis legend: F frames, B frames of a batch, N points, G tokens of a frame, T
tokens of all frames, C channels.
"""
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Tuple

import torch
from mmdet3d.registry import DATASETS, MODELS
from mmengine.dataset import BaseDataset
from torch import Tensor, nn

from ..datasets.seeding import SampleKey
from ..ops import three_nn
from ..structures import PointTokens

_TINY = 1e-8


@dataclass
class TokenFeatures:
    """Token features of some frames, and how points read them.

    Attributes:
        features (Tensor): (T, C) float32.
        own (Tensor): (F, N) int64, the token of each point; where tokens
            overlap or leave points out, the one with the nearest centre.
        nearest (Tensor): (F, N, 3) int64, the tokens of the frame with the
            nearest centres.
        weights (Tensor): (F, N, 3) float32, inverse distances to them, each
            point's summing to 1.
        labels (Tensor): (F, N) int64, -1 = unlabelled.
    """

    features: Tensor
    own: Tensor
    nearest: Tensor
    weights: Tensor
    labels: Tensor


class TokenEncoder(nn.Module):
    """Tokenizer, embedding and encoder of a pre-training, frozen.

    Args:
        meta (Dict[str, Any]): ``tokenizer``, ``embedding`` and ``encoder``,
            the configs.
        state (Dict[str, Tensor]): Tensors under ``embedding.`` and
            ``encoder.``.
    """

    def __init__(self, meta: Dict[str, Any], state: Dict[str, Tensor]) -> None:
        super().__init__()
        self.tokenizer = MODELS.build(meta['tokenizer'])
        self.embedding = MODELS.build(meta['embedding'])
        self.encoder = MODELS.build(meta['encoder'])
        self.load_state_dict(state)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, points: Tensor) -> Tuple[PointTokens, Tensor]:
        """Encode all tokens.

        Args:
            points (Tensor): (B, N, 4) x, y, z in metres, region id.

        Returns:
            Tuple[PointTokens, Tensor]: The tokens, and their features
            (B, G, C), undefined for padding.
        """
        xyz = points[..., :3].contiguous()
        tokens = self.tokenizer(xyz, points[..., 3].long())
        return tokens, self.encoder(
            self.embedding(xyz, tokens), tokens.centers, tokens.is_padding)


def labelled_frames(data_root: str, scans: str, num_points: int) -> Any:
    """Frames as pre-training reads them, unaugmented, with true classes.

    Args:
        data_root (str): The data set.
        scans (str): List of scans, relative to ``data_root`` or absolute.
        num_points (int): Points per frame N.

    Returns:
        Any: The dataset.
    """
    return DATASETS.build(
        dict(
            _scope_='mmdet3d',
            type='RGBDFrameDataset',
            data_root=data_root,
            ann_file=scans,
            data_prefix=dict(region_features='', region_groups=''),
            test_mode=True,
            pipeline=[
                dict(type='LoadRGBDPoints', num_points=num_points),
                dict(type='LoadFrameLabels', data_root=data_root),
                dict(type='PackPretrainInputs'),
            ]))


def encode_frames(encoder: TokenEncoder,
                  dataset: BaseDataset,
                  seed: int = 0,
                  batch_size: int = 8,
                  device: str = 'cpu') -> TokenFeatures:
    """Encode every frame of a dataset once.

    Args:
        encoder (TokenEncoder): On ``device``.
        dataset (BaseDataset): See :func:`labelled_frames`.
        seed (int): Which points of the frames. Defaults to 0.
        batch_size (int): Frames encoded together. Defaults to 8.
        device (str): Where to encode; the result is there too.

    Returns:
        TokenFeatures: Of all frames, in their order.

    Raises:
        ValueError: When a feature is not finite.
    """
    parts: List[TokenFeatures] = []
    num_tokens = 0
    for points, labels in _batches(dataset, seed, batch_size):
        points, labels = points.to(device), labels.to(device)
        tokens, features = encoder(points)
        part = read_tokens(points[..., :3], tokens, features, labels)
        part.own = part.own + num_tokens
        part.nearest = part.nearest + num_tokens
        num_tokens += len(part.features)
        parts.append(part)
    joined = TokenFeatures(*(torch.cat([getattr(part, name) for part in parts])
                             for name in TokenFeatures.__dataclass_fields__))
    if not torch.isfinite(joined.features).all():
        raise ValueError('the encoder gives features that are NaN or '
                         'infinite: its training went wrong')
    return joined


def _batches(dataset: BaseDataset, seed: int,
             batch_size: int) -> Iterator[Tuple[Tensor, Tensor]]:
    """Points (B, N, 4) and labels (B, N), in order."""
    for begin in range(0, len(dataset), batch_size):
        end = min(begin + batch_size, len(dataset))
        samples = [dataset[SampleKey(i, seed=seed)] for i in range(begin, end)]
        yield (torch.stack([s['inputs']['points'] for s in samples]),
               torch.stack([
                   s['data_samples'].gt_pts_seg.pts_semantic_mask
                   for s in samples
               ]))


def read_tokens(xyz: Tensor, tokens: PointTokens, features: Tensor,
                labels: Tensor) -> TokenFeatures:
    """Find the tokens that the points of a batch read.

    Args:
        xyz (Tensor): (B, N, 3) metres.
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
    inverse = 1 / (torch.cat([distances for distances, _ in found]) + _TINY)
    own = nearest[..., 0]
    if tokens.point_tokens is not None:
        own = first[..., 0] + tokens.point_tokens
    return TokenFeatures(features[is_token].float(), own, nearest,
                         inverse / inverse.sum(-1, keepdim=True), labels)
