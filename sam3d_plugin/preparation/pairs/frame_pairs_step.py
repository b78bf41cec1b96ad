"""The step that measures how much frames of a scan overlap.

    frame_pairs/<scan>.safetensors    rows of a frame: partner (n,) int32,
                                      index into the frames of the file, and
                                      overlap (n,) float32

Shapes: F frames of a scan, H W pixels.
"""
from typing import Any, Dict, List, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from ...ops.projection import back_project, transform
from ...store.errors import FrameError, StoreError
from ...store.files import BackendArgs, PathLike, join
from ...store.frame_rows import SUFFIX, pack_frames
from ...store.posed_images import PosedImages
from ..running.frame_steps import Product, ScanStep
from ..voxels import voxel_keys


def overlaps_of(voxels: Sequence[np.ndarray]) -> np.ndarray:
    """Shares of voxels that frames have in common.

    Args:
        voxels (Sequence[np.ndarray]): (V,) keys of each of F frames, each
            key once.

    Returns:
        np.ndarray: (F, F) float32, voxels of both frames divided by those of
        the larger one; 0 for frames without any.
    """
    counts = np.array([len(keys) for keys in voxels])
    _, columns = np.unique(np.concatenate(voxels), return_inverse=True)
    rows = np.concatenate([[0], counts.cumsum()])
    occupied = csr_matrix((np.ones(len(columns), np.int32), columns, rows))
    shared = (occupied @ occupied.T).toarray()
    larger = np.maximum(counts[:, None], counts)
    return (shared / np.maximum(larger, 1)).astype(np.float32)


class FramePairsStep(ScanStep):
    """Finds the frames of a scan that see the same place.

    Args:
        data (PathLike): Folder of the data set, with ``posed_images``.
        voxel_size (float): Edge of the voxels that are compared, meters.
            Defaults to 0.05.
        min_overlap (float): Pairs with a smaller overlap are left out.
            Defaults to 0.1.
        num_points (int): About so many pixels of a depth image are used:
            every so many-th row and column, 4 of 640 x 480. Too few of a
            small image would miss voxels. Defaults to 20000.
        backend_args (BackendArgs): Arguments of the file backend.
    """
    kind = 'frame_pairs'

    def __init__(self,
                 data: PathLike,
                 voxel_size: float = 0.05,
                 min_overlap: float = 0.1,
                 num_points: int = 20000,
                 backend_args: BackendArgs = None) -> None:
        if not (voxel_size > 0 and 0 < min_overlap <= 1 and num_points >= 1):
            raise StoreError('voxel size must be above 0, the overlap above 0 '
                             'and at most 1, and num_points at least 1')
        self.voxel_size = voxel_size
        self.min_overlap = min_overlap
        self.num_points = num_points
        self.images = PosedImages(join(data, 'posed_images'), backend_args)

    def settings(self) -> Dict[str, Any]:
        """The options."""
        return dict(
            voxel_size=self.voxel_size,
            min_overlap=self.min_overlap,
            num_points=self.num_points)

    def scans(self) -> List[str]:
        """All scans that have frames."""
        return self.images.scans()

    def paths(self, scan: str, item: str) -> List[str]:
        """Its file of pairs."""
        return [f'{scan}{SUFFIX}']

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The frames."""
        return dict(frames=self.images.fingerprint(scan))

    def make(self, scan: str, item: str) -> Product:
        voxels: Dict[str, np.ndarray] = {}
        skipped: Dict[str, str] = {}
        for name in self.images.frames(scan):
            try:
                voxels[name] = self._see(scan, name)
            except FrameError as error:
                skipped[name] = str(error)
        if not voxels:
            reason = next(iter(skipped.values()), 'there are none')
            raise FrameError(f'{scan} has no usable frames: {reason}')
        overlaps = overlaps_of(list(voxels.values()))
        np.fill_diagonal(overlaps, 0)
        rows, num_pairs = {}, 0
        for name, shares in zip(voxels, overlaps):
            partners = np.flatnonzero(shares >= self.min_overlap)
            num_pairs += len(partners)
            rows[name] = dict(
                partner=partners.astype(np.int32), overlap=shares[partners])
        return Product({self.paths(scan, scan)[0]: pack_frames(rows)},
                       dict(
                           frames=len(voxels),
                           pairs=num_pairs // 2,
                           skipped_frames=skipped))

    def _see(self, scan: str, name: str) -> np.ndarray:
        """Keys of the voxels that a frame sees."""
        depth = self.images.read_depth(scan, name)
        is_used = np.zeros(depth.shape, bool)
        stride = max(1, round((depth.size / self.num_points)**0.5))
        is_used[::stride, ::stride] = True
        pixels = np.flatnonzero(is_used & (depth > 0))
        intrinsics = self.images.cameras(scan).depth_intrinsics
        xyz = back_project(depth, intrinsics, pixels)
        world = transform(xyz, self.images.read_pose(scan, name))
        return np.unique(voxel_keys(world, self.voxel_size))
