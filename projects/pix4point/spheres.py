"""Spheres of the points of a room, in which PViT is trained on S3DIS.

Shapes: N points of a scan, V voxels that hold points, K points of a sphere.
"""
from typing import List, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS, TRANSFORMS
from torch import Tensor, nn

from sam3d_plugin.datasets.transforms.base import Step
from sam3d_plugin.models.segmentors import PointTokenSegmentor
from sam3d_plugin.ops.voxels import voxelize
from sam3d_plugin.store.errors import UserError


def one_of_each_voxel(xyz: Tensor, voxel_size: float,
                      order: Tensor) -> Tuple[Tensor, Tensor]:
    """Choose a point of each voxel: the first of an order.

    Args:
        xyz (Tensor): (N, 3) meters.
        voxel_size (float): Edge of a voxel, meters.
        order (Tensor): (N,) int64, a permutation of the points.

    Returns:
        Tuple[Tensor, Tensor]: (V,) int64 points, and (N,) int64 which of
        them has the voxel of each point.
    """
    grid, found = voxelize(xyz[None, order], voxel_size)
    places = torch.arange(len(order), device=order.device)
    first = places.new_full(
        (len(grid), ), len(order)).scatter_reduce_(0, found[0], places, 'amin')
    return order[first], torch.empty_like(order).scatter_(0, order, found[0])


def nearest(xyz: Tensor, center: Tensor, radius: float, most: int) -> Tensor:
    """Points (K,) int64 of (V, 3) within a radius, the nearest ``most``."""
    distances = (xyz - center).norm(dim=1)
    near = distances.argsort(stable=True)[:most]
    return near[distances[near] <= radius]


@TRANSFORMS.register_module()
class SphereSample(Step):
    """Keep the points around a random one, one of each voxel.

    Of more than ``num_points`` the nearest to the middle are kept; fewer are
    repeated.

    Required Keys:

    - points (:obj:`BasePoints`)
    - pts_semantic_mask (np.ndarray): (N,) int64

    Modified Keys:

    - points (:obj:`BasePoints`)
    - pts_semantic_mask (np.ndarray)

    Args:
        num_points (int): K. Defaults to 16384.
        radius (float): Of the sphere, meters. Defaults to 2.
        voxel_size (float): Edge of a voxel, meters. Defaults to 0.04.
    """

    def __init__(self,
                 num_points: int = 16384,
                 radius: float = 2.,
                 voxel_size: float = 0.04) -> None:
        if min(num_points, radius, voxel_size) <= 0:
            raise UserError('num_points, radius and voxel_size of '
                            f'SphereSample must be > 0: {num_points}, '
                            f'{radius}, {voxel_size}')
        self.num_points = num_points
        self.radius = radius
        self.voxel_size = voxel_size

    def transform(self, results: dict) -> dict:
        """Sample."""
        xyz = results['points'].coord
        center = xyz[np.random.randint(len(xyz))]
        near = torch.nonzero((xyz - center).norm(dim=1) <= self.radius)[:, 0]
        order = torch.from_numpy(np.random.permutation(len(near)))
        near = near[one_of_each_voxel(xyz[near], self.voxel_size, order)[0]]
        near = near[nearest(xyz[near], center, self.radius, self.num_points)]
        chosen = np.random.permutation(
            np.resize(near.numpy(), self.num_points))
        results['points'] = results['points'][chosen]
        results['pts_semantic_mask'] = results['pts_semantic_mask'][chosen]
        return results


@MODELS.register_module()
class SpherePointTokenSegmentor(PointTokenSegmentor):
    """``PointTokenSegmentor`` that infers scans in spheres as in training.

    With ``test_cfg=dict(mode='spheres', num_points=K, radius=R,
    voxel_size=S)`` a point stands for each voxel. Spheres are put around
    points that were in none, until all were in one; logits are averaged.
    """

    def inference(self, points: Tensor, batch_input_metas: List[dict],
                  rescale: bool) -> Tensor:
        """Infer the logits (1, num_classes, N) of one scan.

        See :class:`PointTokenSegmentor`.
        """
        if self.test_cfg.mode != 'spheres':
            return super().inference(points, batch_input_metas, rescale)
        generator = torch.Generator().manual_seed(self.test_cfg.get('seed', 0))
        return self.sphere_inference(points[0], generator)[None]

    def sphere_inference(self, points: Tensor,
                         generator: torch.Generator) -> Tensor:
        """Average the logits of spheres that together hold every voxel.

        Args:
            points (Tensor): (N, 3 + C) xyz in meters, then columns.
            generator (torch.Generator): Draws which points stand for voxels
                and where spheres are, on the CPU.

        Returns:
            Tensor: (num_classes, N).
        """

        def shuffled(count: int) -> Tensor:
            order = torch.randperm(count, generator=generator)
            return order.to(points.device)

        settings = self.test_cfg
        chosen, voxel_of = one_of_each_voxel(points[:, :3],
                                             settings.voxel_size,
                                             shuffled(len(points)))
        kept = points[chosen]
        logits = kept.new_zeros((len(kept), self.num_classes))
        votes = kept.new_zeros(len(kept))
        left = shuffled(len(kept))
        while len(left):
            near = nearest(kept[:, :3], kept[left[0], :3], settings.radius,
                           settings.num_points)
            seen = self.encode_decode(kept[None, near], [{}])[0]
            logits[near] += seen.t().to(logits.dtype)
            votes[near] += 1
            left = left[votes[left] == 0]
        return (logits / votes[:, None])[voxel_of].t()


@MODELS.register_module()
class LabelSmoothingLoss(nn.Module):
    """Cross entropy with a share of each label spread over all classes.

    Args:
        label_smoothing (float): That share. Defaults to 0.2.
    """

    def __init__(self, label_smoothing: float = 0.2) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor,
                ignore_index: int) -> Tensor:
        """Mean over the labeled points.

        Args:
            logits (Tensor): (B, classes, N).
            labels (Tensor): (B, N) int64.
            ignore_index (int): Label of points without one.

        Returns:
            Tensor: () the loss; 0 where no point has a label.
        """
        losses = F.cross_entropy(
            logits.float(),
            labels,
            ignore_index=ignore_index,
            label_smoothing=self.label_smoothing,
            reduction='sum')
        return losses / (labels != ignore_index).sum().clamp(min=1)
