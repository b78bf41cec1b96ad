"""Tokenize, embed, encode: the encoder of every method on point tokens.

Shapes: B scenes, N points, G tokens, C channels.
"""
from abc import abstractmethod
from dataclasses import replace
from typing import Any, Optional, Tuple

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.ops.propagation import interpolate_tokens
from sam3d_plugin.ops.transfer import require, to_device
from sam3d_plugin.store import MAX_REGION_ID
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from ..tokenizers.region_majority import majority_regions

_NOT_FINITE = ('points are not finite: find the frame with '
               'tools/preparation/verify.py, or add CheckPoints to the '
               'pipeline, which names the scan')


def check_clouds(points: Any) -> None:
    """Refuse what is not a batch of point clouds.

    Args:
        points (Any): To be a tensor (B, N, 3 + D).

    Raises:
        UserError: When it is of another type or shape.
    """
    if not isinstance(points, Tensor) or points.ndim != 3 or (points.shape[-1]
                                                              < 3):
        shape = tuple(getattr(points, 'shape', ()))
        raise UserError('points must be a tensor (B, N, 3 + D), got '
                        f'{type(points).__name__} {shape}: give torch.'
                        'as_tensor(xyz, dtype=torch.float32)[None]')


class TokenBackbone(BaseModule):
    """A tokenizer, and a network that gives its tokens features.

    The network sees xyz alone. Region ids, where they are needed, are one
    more column of the points. A training finds it by its name in the
    ``metainfo`` of data sets that have ``point_columns``. A subclass
    implements :meth:`encode_tokens`.

    Args:
        tokenizer (dict): Config of the tokenizer.
        region_column (int): Point column of the region ids, if the data set
            does not name it. Defaults to 3, right behind xyz.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 tokenizer: dict,
                 region_column: int = 3,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.tokenizer = MODELS.build(tokenizer)
        self.region_column: Optional[int] = region_column

    def use_metainfo(self, metainfo: dict) -> None:
        """Find the region ids among the columns of the training data.

        Args:
            metainfo (dict): Of the data set, maybe with ``point_columns``.
        """
        if 'point_columns' in metainfo:
            self.region_column = metainfo['point_columns'].get('region')

    def tokenize(
            self,
            points: Tensor,
            with_regions: bool = False,
            region_ids: Optional[Tensor] = None) -> Tuple[Tensor, PointTokens]:
        """Split points into xyz and region ids, and tokenize them.

        Args:
            points (Tensor): (B, N, 3 + D): xyz in meters, and region ids in
                the column ``region_column`` if they are needed.
            with_regions (bool): Whether tokens need a region even if the
                tokenizer does not use regions: that of most of their points.
                Defaults to False.
            region_ids (Optional[Tensor]): (B, N), that column on the CPU,
                which spares the tokenizer waiting for a GPU.

        Returns:
            Tuple[Tensor, PointTokens]: xyz (B, N, 3) and tokens.

        Raises:
            ValueError: When points are not finite, of another form, or have
                no region ids where those are needed.
        """
        check_clouds(points)
        xyz = points[..., :3].contiguous()
        require(torch.isfinite(xyz).all(), lambda: ValueError(_NOT_FINITE))
        uses_regions = self.tokenizer.uses_regions
        if not uses_regions and not with_regions:
            return xyz, self.tokenizer(xyz)
        region_ids = self.read_region_ids(points, region_ids)
        tokens = self.tokenizer(xyz, region_ids)
        if not uses_regions:
            region_ids = to_device(region_ids, xyz.device)
            tokens = replace(
                tokens, region_ids=majority_regions(tokens, region_ids))
        return xyz, tokens

    def read_region_ids(self,
                        points: Tensor,
                        column: Optional[Tensor] = None) -> Tensor:
        """Region of each point.

        Args:
            points (Tensor): (B, N, 3 + D), with region ids in the column
                ``region_column``.
            column (Optional[Tensor]): (B, N), that column on the CPU.

        Returns:
            Tensor: (B, N) int64, 0 = in no region; on the device of the
            column.

        Raises:
            ValueError: When points have no region ids.
        """
        place = self.region_column
        error = ValueError(
            f'point column {place} holds no region ids (integers >= 0): '
            "load frames with 'region' in the columns of LoadRGBDPoints, put "
            'LoadRegionIds after LoadPointsFromFile for scans, or use '
            'KNNTokenizer')
        if column is None:
            if place is None or place >= points.shape[-1]:
                raise error
            column = points[..., place]
        is_id = (column >= 0) & (column <= MAX_REGION_ID) & (
            column == column.round())
        require(is_id.all(), lambda: error)
        return column.long()

    @abstractmethod
    def encode_tokens(self, xyz: Tensor, tokens: PointTokens) -> Tensor:
        """Features (B, G, C) of tokens of points (B, N, 3)."""

    def encode(self,
               points: Tensor,
               data_samples: Any = None) -> Tuple[PointTokens, Tensor]:
        """Encode all tokens.

        Args:
            points (Tensor): (B, N, 3 + D), see :meth:`tokenize`.
            data_samples (Any): Unused.

        Returns:
            Tuple[PointTokens, Tensor]: The tokens and their features
            (B, G, C), undefined for padding.
        """
        xyz, tokens = self.tokenize(points)
        return tokens, self.encode_tokens(xyz, tokens)

    def point_features(self, points: Tensor) -> Tensor:
        """Features of the points, interpolated from the nearest tokens.

        Args:
            points (Tensor): (B, N, 3 + D), see :meth:`tokenize`.

        Returns:
            Tensor: (B, N, C).
        """
        tokens, features = self.encode(points)
        return interpolate_tokens(points[..., :3], tokens.centers, features,
                                  tokens.is_padding)

    def summary(self) -> str:
        """Return the tokenizer in one line for the log."""
        return f'tokens: {self.tokenizer.summary()}'


@MODELS.register_module()
class TokenEncoder(TokenBackbone):
    """Tokenizer, token embedding and transformer encoder.

    Args:
        tokenizer (dict): Config of the tokenizer.
        embedding (dict): Config of the token embedding.
        encoder (dict): Config of the token encoder.
        region_column (int): See :class:`TokenBackbone`.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 tokenizer: dict,
                 embedding: dict,
                 encoder: dict,
                 region_column: int = 3,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(tokenizer, region_column, init_cfg)
        self.embedding = MODELS.build(embedding)
        self.encoder = MODELS.build(encoder)
        if self.reads_points:
            self.embedding = nn.Identity()

    @property
    def reads_points(self) -> bool:
        """bool: Whether the encoder takes points and needs no embedding."""
        return getattr(self.encoder, 'reads_points', False)

    def encode_tokens(self, xyz: Tensor, tokens: PointTokens) -> Tensor:
        """Embed and encode tokens (B, G, C) of points (B, N, 3)."""
        if self.reads_points:
            raise UserError(f'{type(self.encoder).__name__} reads points, not '
                            'tokens: use it in detectors and segmentors, and '
                            'pre-train with PlainPointTransformer')
        return self.encoder(
            self.embedding(xyz, tokens), tokens.centers, tokens.is_padding,
            tokens.num_tokens)
