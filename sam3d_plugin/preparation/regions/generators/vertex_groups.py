"""A grouping of a scan's vertices, seen from its frames.

Frames of reference: camera, world (of the poses), scan (of the vertices).

Shapes: N vertices, H W pixels.
"""
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from mmengine import fileio
from scipy import ndimage
from scipy.spatial import cKDTree

from ....ops.projection import back_project, transform
from ....ops.registration import color_pixels_of_depth
from ....store.errors import FrameError, UserError
from ....store.files import BackendArgs, PathLike, exists, join, read_bytes
from ....store.posed_images import Cameras, RGBDFrame, decode_matrix
from ....store.region_file import decode_region_file
from ...point_files import read_points
from ...sources.scans.scan import ScanError
from ...sources.scans.scan_readers import ReadOptions, read_scan


class VertexGroups:
    """Renders the groups of vertices into frames.

    Args:
        path (str): Folder with ``<scan>.npz`` or ``<scan>.ply``, or a
            pattern with ``{scan}``.
        points (Optional[PathLike]): Folder with ``<scan>.bin``, the points
            that region files are for; None when the files of ``path`` hold
            the coordinates themselves.
        region_key (Optional[str]): Array or property with the group ids,
            where the files hold coordinates; None finds it by its name.
        world_to_scan (Optional[str]): Text file with the 4x4 matrix from the
            world of the poses to the coordinates of the vertices, or a
            pattern with ``{scan}``; None when they are the same.
        distance (float): Pixels take the group of the nearest vertex that is
            nearer than this, meters.
        backend_args (BackendArgs): Arguments of the file backend.
    """

    def __init__(self,
                 path: str,
                 points: Optional[PathLike] = None,
                 region_key: Optional[str] = None,
                 world_to_scan: Optional[str] = None,
                 distance: float = 0.05,
                 backend_args: BackendArgs = None) -> None:
        if distance <= 0:
            raise UserError(f'distance {distance} is invalid: must be above '
                            '0 meters')
        self.path = path
        self.points = points
        self.region_key = region_key
        self.world_to_scan = world_to_scan
        self.distance = distance
        self.backend_args = backend_args
        self._loaded: Optional[Tuple[str, cKDTree, np.ndarray,
                                     np.ndarray]] = None

    def settings(self) -> Dict[str, Any]:
        """Settings that determine where vertices are seen, as JSON."""
        matrix: Any = self.world_to_scan
        if matrix is not None:
            matrix = last_part(matrix)
            if '{' not in matrix:
                content, name = self._read_file(
                    str(self.world_to_scan), matrix)
                matrix = decode_matrix(content, name).tolist()
        return dict(
            distance=self.distance,
            region_key=self.region_key,
            has_points=self.points is not None,
            world_to_scan=matrix)

    def files(self, scan: str) -> List[str]:
        """Paths of a scan's files; FrameError when it has no groups."""
        files = [self._find(scan)[0]]
        if self.points is not None:
            files.append(join(self.points, f'{scan}.bin'))
        if self.world_to_scan is not None:
            files.append(fill_pattern(self.world_to_scan, scan)[0])
        return files

    def read(self, frame: RGBDFrame) -> np.ndarray:
        """Render the groups of a frame's scan into it: (H, W) int64 at the
        resolution of the color image, 0 = in no group.

        Raises FrameError when the scan's files are missing or damaged.
        """
        if self._loaded is None or self._loaded[0] != frame.scan:
            self._loaded = (frame.scan, *self._load(frame.scan))
        _, tree, ids, world_to_scan = self._loaded
        seen = groups_of_pixels(frame.depth, frame.cameras.depth_intrinsics,
                                world_to_scan @ frame.pose, tree, ids,
                                self.distance)
        height, width = frame.color.shape[:2]
        return carry_to_color(seen, frame.depth, frame.cameras,
                              (height, width))

    def _load(self, scan: str) -> Tuple[cKDTree, np.ndarray, np.ndarray]:
        path, name = self._find(scan)
        matrix = np.eye(4)
        if self.world_to_scan is not None:
            matrix = decode_matrix(*self._read_file(
                *fill_pattern(self.world_to_scan, scan)))
        try:
            if self.points is not None:
                xyz = read_points(self.points, scan, self.backend_args)[:, :3]
                content, _ = self._read_file(path, name)
                ids = decode_region_file(content, name, xyz)
            else:
                xyz, ids = self._read_scan(path, name)
        except FrameError:
            raise
        except (ScanError, ValueError) as error:
            raise FrameError(str(error).replace(path, name)) from error
        return cKDTree(xyz), ids.astype(np.int64), matrix

    def _find(self, scan: str) -> Tuple[str, str]:
        """Path of a scan's groups and their name in errors."""
        if '{scan}' in self.path:
            return fill_pattern(self.path, scan)
        names = [f'{scan}.npz', f'{scan}.ply']
        for name in names:
            if exists(join(self.path, name), self.backend_args):
                return join(self.path, name), name
        raise FrameError(f'{names[0]} is missing')

    def _read_scan(self, path: str,
                   name: str) -> Tuple[np.ndarray, np.ndarray]:
        options = ReadOptions(region_key=self.region_key, without_color=True)
        if not exists(path, self.backend_args):
            raise FrameError(f'{name} is missing')
        with fileio.get_local_path(path, self.backend_args) as local:
            scan = read_scan(Path(local), options)
        if scan.regions is None:
            raise FrameError(f'{name} has no group ids; name their array as '
                             'region_key')
        return scan.xyz, scan.regions

    def _read_file(self, path: str, name: str) -> Tuple[bytes, str]:
        """Content of a file and its name in errors."""
        try:
            return read_bytes(path, self.backend_args), name
        except FileNotFoundError:
            raise FrameError(f'{name} is missing') from None


def fill_pattern(pattern: str, scan: str, frame: str = '') -> Tuple[str, str]:
    """The path that a pattern with ``{scan}`` and ``{frame}`` means, and what
    to call it in errors, which name no folder of this machine."""
    fixed = pattern.split('{')[0].rpartition('/')[0]
    path, folder = (
        text.replace('{scan}', scan).replace('{frame}', frame)
        for text in (pattern, fixed))
    return path, path[len(folder):].lstrip('/')


def last_part(pattern: str) -> str:
    """The part of a path that a store may record: from the last folder that is
    the same for all scans."""
    fixed = pattern.split('{')[0].rstrip('/').rpartition('/')[0]
    return pattern[len(fixed):].strip('/')


def groups_of_pixels(depth: np.ndarray, intrinsics: np.ndarray,
                     camera_to_scan: np.ndarray, tree: cKDTree,
                     ids: np.ndarray, distance: float) -> np.ndarray:
    """Group of the nearest vertex of every depth pixel.

    Args:
        depth (np.ndarray): (H, W) meters, 0 = none.
        intrinsics (np.ndarray): (3, 3), pixels of the depth image.
        camera_to_scan (np.ndarray): (4, 4), meters.
        tree (cKDTree): Of the N vertices, scan frame, meters.
        ids (np.ndarray): (N,) group of each vertex, 0 = none.
        distance (float): Vertices must be nearer than this, meters.

    Returns:
        np.ndarray: (H, W) int64, 0 = in no group.
    """
    pixels = np.flatnonzero(np.isfinite(depth) & (depth > 0))
    seen = transform(back_project(depth, intrinsics, pixels), camera_to_scan)
    _, nearest = tree.query(seen, distance_upper_bound=distance)
    # The tree says N where there is none.
    with_none = np.append(ids, 0)
    result = np.zeros(depth.size, np.int64)
    result[pixels] = with_none[nearest]
    return result.reshape(depth.shape)


def carry_to_color(ids: np.ndarray, depth: np.ndarray, cameras: Cameras,
                   color_shape: Tuple[int, int]) -> np.ndarray:
    """Move an id map from the depth camera to the color camera.

    Of several depth pixels the nearest to the camera counts. Color pixels
    between those of neighboring depth pixels take the nearest of these.

    Args:
        ids (np.ndarray): (H', W') of the depth image.
        depth (np.ndarray): (H', W') meters, 0 = none.
        cameras (Cameras): Of both images.
        color_shape (Tuple[int, int]): H, W of the color image.

    Returns:
        np.ndarray: (H, W), dtype of ``ids``; 0 where no depth was seen.
    """
    if cameras.is_single:
        return ids
    color = cameras.color_intrinsics
    targets = color_pixels_of_depth(depth, cameras.depth_intrinsics,
                                    cameras.depth_to_color, color,
                                    color_shape).ravel()
    sources = np.flatnonzero(targets >= 0)
    sources = sources[np.argsort(-depth.ravel()[sources], kind='stable')]
    moved = np.full(color_shape[0] * color_shape[1], -1, ids.dtype)
    moved[targets[sources]] = ids.ravel()[sources]  # the last one stays
    moved = moved.reshape(color_shape)
    reach = max(
        np.ceil(color[i, i] / cameras.depth_intrinsics[i, i])
        for i in range(2))
    return _fill_gaps(moved, float(reach))


def _fill_gaps(ids: np.ndarray, reach: float) -> np.ndarray:
    """Give pixels of -1 the id of the nearest other pixel within ``reach``
    pixels, or 0."""
    is_gap = ids < 0
    if is_gap.all():
        return np.zeros_like(ids)
    distance, (rows, columns) = ndimage.distance_transform_edt(
        is_gap, return_indices=True)
    return np.where(distance <= reach, ids[rows, columns], 0)
