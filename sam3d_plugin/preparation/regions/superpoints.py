"""Graph-based over-segmentation of point clouds on normals and color.

The regions of scans without posed frames, such as those of S3DIS.

Shapes: N points, K neighbors, S segments.
"""
from dataclasses import asdict, dataclass
from typing import Any, Mapping

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ...ops import _normal_kernels as kernels
from ...store.errors import UserError
from ..running.named_parts import build_by_name
from ..voxels import voxel_keys
from .segment_merging import PairCost, segment_nodes, sum_by_label


@dataclass(frozen=True)
class SuperpointOptions:
    """Options of the segmentation."""
    # Points are averaged on a grid of this spacing first, so that sizes do not
    # depend on how dense a scan is, meters
    voxel: float = 0.02
    # K, neighbors that a voxel is joined to and whose plane gives its normal
    neighbors: int = 10
    # Size of the first stage's segments, see
    # :func:`~sam3d_plugin.ops.graph_segmentation.segment_graph`, in units of
    # Lab × voxels
    scale: float = 5.0
    # What merging may cost; larger for fewer regions; 0 leaves the first stage
    # as it is
    threshold: float = 4.0
    # Smallest region that touches another, square meters
    min_area: float = 0.02
    # Between voxels: weight of the sine at which one is above the other's
    # plane
    step: float = 20.0
    normal: float = 60.0  # Between voxels: weight of 1 - cosine
    # Between voxels: weight of the distance in Lab. border, color, turn,
    # offset, size_power (float): Between segments, see :class:`PairCost`;
    # sizes in square meters
    contrast: float = 0.3
    border: float = 0.3
    color: float = 0.1
    turn: float = 15.0
    offset: float = 3.0
    size_power: float = 0.2

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            if not isinstance(value, (int, float)) or value < 0:
                raise UserError(f'invalid {key}={value!r}: must be a number '
                                '>= 0')
        if self.neighbors < 3 or self.voxel == 0 or self.scale == 0:
            raise UserError(
                f'voxel={self.voxel}, neighbors={self.neighbors}, '
                f'scale={self.scale}: give a positive grid and scale and at '
                'least 3 neighbors')

    @property
    def voxels_per_area(self) -> float:
        """Voxels of a surface of one square meter."""
        return 1 / self.voxel**2


def build_options(options: Mapping[str, Any]) -> SuperpointOptions:
    """Options from a command line; StoreError for unknown ones."""
    return build_by_name(
        'segmentation', dict(superpoints=('superpoints', 'SuperpointOptions')),
        __name__.rpartition('.')[0], 'superpoints', options)


def point_normals(xyz: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Direction of least extent of each point's neighborhood.

    Args:
        xyz (np.ndarray): (N, 3) meters.
        neighbors (np.ndarray): (N, K) indices of points.

    Returns:
        np.ndarray: (N, 3) unit normals of arbitrary sign.
    """
    covariances = kernels.neighborhood_covariances(xyz, neighbors)
    return np.linalg.eigh(covariances)[1][:, :, 0]


def make_superpoints(
    xyz: np.ndarray,
    rgb: np.ndarray,
    options: SuperpointOptions = SuperpointOptions()
) -> np.ndarray:
    """(N,) int64 ids 1..R of regions of one surface and color, in the order of
    their first points; every point is in a region.

    ``xyz`` (N, 3) is in meters, ``rgb`` (N, 3) from 0 to 255. ValueError when
    there is no point or a coordinate is not finite.
    """
    if len(xyz) == 0 or not np.isfinite(xyz).all():
        raise UserError('points are missing or not finite')
    keys = voxel_keys(xyz - xyz.min(axis=0), options.voxel)
    voxels = np.unique(keys, return_inverse=True)[1].reshape(-1)
    num_voxels = int(voxels.max()) + 1
    sizes = np.bincount(voxels)[:, None]
    centers = sum_by_label(xyz, voxels, num_voxels) / sizes
    lab = _lab(sum_by_label(rgb, voxels, num_voxels) / sizes)
    ids = _segment_voxels(centers, lab, options)[voxels]
    return _number_by_first(ids)


def _number_by_first(labels: np.ndarray) -> np.ndarray:
    """Ids 1..R in the order of the first points."""
    _, first, index = np.unique(labels, return_index=True, return_inverse=True)
    numbers = np.empty(len(first), np.int64)
    numbers[np.argsort(first)] = np.arange(1, len(first) + 1)
    return numbers[index.reshape(-1)]


def _segment_voxels(xyz: np.ndarray, lab: np.ndarray,
                    options: SuperpointOptions) -> np.ndarray:
    """(N,) int64 labels of the averaged points."""
    count = min(options.neighbors + 1, len(xyz))
    neighbors = cKDTree(xyz).query(xyz, count)[1].reshape(len(xyz), count)
    normals = point_normals(xyz, neighbors)
    edges = kernels.point_edges(xyz, normals, lab, neighbors, options.step,
                                options.normal, options.contrast)
    cost = PairCost(options.border, options.color, options.turn,
                    options.offset, options.size_power,
                    options.voxels_per_area)
    return segment_nodes(
        lab, xyz, normals, edges, options.scale, cost, options.threshold,
        int(np.ceil(options.min_area * options.voxels_per_area)))


def _lab(rgb: np.ndarray) -> np.ndarray:
    """(N, 3) float32 Lab of colors 0 to 255."""
    image = (np.asarray(rgb, dtype=np.float32) / np.float32(255))[None]
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[0]
