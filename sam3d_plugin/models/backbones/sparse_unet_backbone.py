"""Sparse voxel U-Net as a backbone of mmdet3d's heads and of pre-training.

Shapes: B scenes, N points, V voxels of all scenes, G voxels of the scene with
most, S seeds, C channels.
"""
from typing import Any, Dict, Optional, Tuple

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.ops.regions import segment_centers, sort_by_segment
from sam3d_plugin.ops.sampling import furthest_point_sample
from sam3d_plugin.ops.voxels import VoxelGrid, voxelize
from sam3d_plugin.store.loading import LoadReport, load_pretrained
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from .token_encoder import check_clouds


@MODELS.register_module()
class SparseUNetBackbone(BaseModule):
    """Points as voxels, a sparse U-Net, and its features at the points.

    The network sees which voxels hold points and nothing else: their input is
    1, and all points of a voxel have one feature. Further point columns are
    unused.

    Args:
        voxel_size (float): Edge of a voxel, meters.
        unet (dict): Config of a ``SparseVoxelUNet``.
        out_channels (Optional[int]): Channels that the head expects, of a
            linear layer behind the network. None leaves it out. Defaults to
            None.
        num_seeds (Optional[int]): Points that a detection head gets, the
            furthest from each other. None for all points, as segmentation
            heads need them. Defaults to None.
        init_cfg (Optional[dict]): ``dict(type='Pretrained',
            checkpoint=FILE)`` loads the network strictly; see
            :func:`sam3d_plugin.store.load_pretrained`. The layer behind it
            belongs to the head's task and is never loaded.
    """

    def __init__(self,
                 voxel_size: float,
                 unet: dict,
                 out_channels: Optional[int] = None,
                 num_seeds: Optional[int] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if not voxel_size > 0:
            raise UserError(f'voxel_size {voxel_size} must be more than 0 m')
        self.voxel_size = voxel_size
        self.num_seeds = num_seeds
        self.unet = MODELS.build(unet)
        self.out_proj = nn.Identity() if out_channels is None else nn.Linear(
            self.unet.embed_dims, out_channels)
        self.load_report: Optional[LoadReport] = None

    def init_weights(self) -> None:
        """Initialize, then load the pre-trained network where one is named.

        Raises:
            ValueError: When the checkpoint lacks a tensor of the network, or
                has one of another shape.
        """
        pretrained, self.init_cfg = self.init_cfg, None
        super().init_weights()
        self.init_cfg = pretrained
        if pretrained is not None:
            self.load_report = load_pretrained(
                nn.ModuleDict(dict(unet=self.unet)), dict(pretrained))

    def summary(self) -> str:
        """Return the settings in use, in one line for the log."""
        weights = 'no pretrained weights'
        if self.load_report is not None:
            weights = (f'pretrained {self.load_report.source}, '
                       f'{self.load_report.summary()}')
        return f'voxels: {self.voxel_size} m · sparse U-Net: {weights}'

    def encode_voxels(self,
                      points: Tensor) -> Tuple[VoxelGrid, Tensor, Tensor]:
        """Encode the voxels that hold points.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Tuple[VoxelGrid, Tensor, Tensor]: The voxels, their features
            (V, C), and the voxel of each point (B, N) int64.

        Raises:
            UserError: See :func:`~sam3d_plugin.ops.voxels.voxelize`.
        """
        check_clouds(points)
        grid, point_voxels = voxelize(points[..., :3], self.voxel_size)
        inputs = points.new_ones(len(grid), self.unet.in_channels)
        return grid, self.out_proj(self.unet(inputs, grid)), point_voxels

    def point_features(self, points: Tensor) -> Tensor:
        """Features of the points, those of their voxels.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Tensor: (B, N, C).
        """
        _, features, point_voxels = self.encode_voxels(points)
        return _at(features, point_voxels)

    def encode(self,
               points: Tensor,
               data_samples: Any = None) -> Tuple[PointTokens, Tensor]:
        """Encode all voxels, as tokens.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.
            data_samples (Any): Unused.

        Returns:
            Tuple[PointTokens, Tensor]: One token for each voxel, whose points
            are its members, and the features (B, G, C), 0 for padding.
        """
        grid, features, point_voxels = self.encode_voxels(points)
        tokens, places = voxel_tokens(grid, points[..., :3], point_voxels)
        padded = features.new_zeros(tokens.is_padding.numel(),
                                    features.shape[1])
        padded = padded.index_copy(0, places, features)
        return tokens, padded.unflatten(0, tokens.is_padding.shape)

    def forward(self, points: Tensor) -> Dict[str, Any]:
        """Encode a batch of scenes.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Dict[str, Any]: Lists ``fp_xyz`` (B, S, 3), ``fp_features``
            (B, C, S) and ``fp_indices`` (B, S) int64; without ``num_seeds``
            of all points, whose features are ``point_features`` (B, C, N)
            too.

        Raises:
            UserError: When points are not finite or too far away, or fewer
                than seeds.
        """
        xyz = points[..., :3].contiguous()
        num_points, num_seeds = xyz.shape[1], self.num_seeds
        if num_seeds is not None and num_points < num_seeds:
            raise UserError(
                f'{num_points} points cannot give {num_seeds} seeds: raise '
                'num_points of PointSample or lower num_seeds of the backbone')
        _, features, point_voxels = self.encode_voxels(points)
        if num_seeds is None:
            indices = torch.arange(
                num_points, device=xyz.device).expand(len(xyz), -1)
        else:
            indices = furthest_point_sample(xyz, num_seeds).long()
            xyz = xyz.gather(1, indices[..., None].expand(-1, -1, 3))
            point_voxels = point_voxels.gather(1, indices)
        features = _at(features, point_voxels).transpose(1, 2)
        outputs: Dict[str, Any] = dict(
            fp_xyz=[xyz], fp_features=[features], fp_indices=[indices])
        if num_seeds is None:
            outputs['point_features'] = features
        return outputs


def _at(features: Tensor, rows: Tensor) -> Tensor:
    """Take rows (B, N) of features (V, C) to (B, N, C)."""
    return features.index_select(0, rows.flatten()).unflatten(0, rows.shape)


def voxel_tokens(grid: VoxelGrid, xyz: Tensor,
                 point_voxels: Tensor) -> Tuple[PointTokens, Tensor]:
    """Describe voxels as tokens.

    Args:
        grid (VoxelGrid): V voxels.
        xyz (Tensor): (B, N, 3) meters.
        point_voxels (Tensor): (B, N) int64, the voxel of each point.

    Returns:
        Tuple[PointTokens, Tensor]: Tokens (B, G), with the mean of their
        points as centers and padding last, and the flat place (V,) int64 of
        each voxel among them.
    """
    num_scenes, num_points, _ = xyz.shape
    num_voxels = torch.bincount(grid.scenes, minlength=num_scenes)
    first = num_voxels.cumsum(0) - num_voxels
    on_cpu = num_voxels.cpu().numpy()
    shape = (num_scenes, int(on_cpu.max()))
    slots = torch.arange(len(grid), device=xyz.device) - first[grid.scenes]
    places = grid.scenes * shape[1] + slots
    order, offsets = sort_by_segment(places[point_voxels.flatten()],
                                     num_scenes * shape[1])
    centers, anchors = segment_centers(xyz.flatten(0, 1), order, offsets)
    is_padding = torch.arange(
        shape[1], device=xyz.device) >= num_voxels[:, None]
    anchors = (anchors % num_points).reshape(shape)
    return PointTokens(
        centers=centers.reshape(*shape, 3),
        anchor_indices=anchors.masked_fill(is_padding, 0),
        region_ids=torch.zeros_like(anchors),
        is_padding=is_padding,
        member_points=order,
        member_offsets=offsets,
        point_tokens=slots[point_voxels],
        num_tokens=on_cpu), places
