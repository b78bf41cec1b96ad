"""Points of an RGB-D frame with named columns.

Shapes: N points, H W pixels of the depth image, H' W' of another image.
"""
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import DepthPoints

from sam3d_plugin.ops.projection import (back_project, pixel_indices, project,
                                         transform)
from sam3d_plugin.ops.scene_origin import check_center, find_origin
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import BackendArgs, join, read_bytes
from sam3d_plugin.store.image_files import decode_uint16
from sam3d_plugin.store.posed_images import Cameras, PosedImages
from ...store.errors import UserError
from ..seeding import sample_generator
from .base import FrameStep, data_folder

# Width of each column, in the order in which they stand behind xyz.
COLUMNS = dict(region=1, pixel=1, origin=3, color=3)
_MILLIMETRES = np.float32(1000)


def read_stored_image(root: str, scan: str, frame: str,
                      backend_args: BackendArgs) -> np.ndarray:
    """Depth or region ids of a frame, (H, W) uint16.

    Raises StoreError when the file is missing.
    Raises FrameError when it is damaged.
    """
    path = join(root, scan, f'{frame}.png')
    try:
        content = read_bytes(path, backend_args)
    except FileNotFoundError:
        raise StoreError(
            f'{path} is missing, though the manifest names it; copy it '
            'again, or run the step that makes it') from None
    return decode_uint16(content, path)


def point_columns(columns: Sequence[str]) -> Dict[str, Any]:
    """Index of each named column of points, a list if it has several.

    Raises ValueError when a name is unknown.
    """
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        raise UserError(f'columns has {unknown[0]!r}; choose from '
                        f'{", ".join(COLUMNS)}')
    places: Dict[str, Any] = {}
    start = 3
    for name in (name for name in COLUMNS if name in columns):
        end = start + COLUMNS[name]
        places[name] = start if end == start + 1 else list(range(start, end))
        start = end
    return places


def seen_values(xyz: np.ndarray, pixels: np.ndarray, image: np.ndarray,
                cameras: Cameras) -> np.ndarray:
    """What a color camera's image (H', W', ...) shows at depth pixels.

    ``xyz`` (N, 3) are their points in the depth camera, meters, ``pixels``
    (N,) indices into the flattened depth image. Returns (N, ...), 0 where the
    color camera sees nothing.
    """
    flat = image.reshape(-1, *image.shape[2:])
    if cameras.is_single:
        return flat[pixels]
    uv, _ = project(
        transform(xyz, cameras.depth_to_color), cameras.color_intrinsics)
    color_pixels, is_inside = pixel_indices(uv, *image.shape[:2])
    values = flat[color_pixels]
    values[~is_inside] = 0
    return values


@TRANSFORMS.register_module()
class LoadRGBDPoints(FrameStep):
    """Back-project random depth pixels of a frame.

    The pose turns the points into the world, whose z axis points up, so that
    rotations about z and heights mean what they do in complete scans; then
    they are centered. Only the chosen pixels become points. What has to
    survive augmentation is a column of the points. A frame without any depth
    is named, and replaced and counted by the dataset.

    Required Keys:

    - data_root (str), scan (str), frame (str)

    Added Keys:

    - points (:obj:`DepthPoints`): x, y, z, then the columns; their
      ``attribute_dims`` name the columns
    - num_regions (int, with ``region``): R of the frame's id map

    Args:
        num_points (Optional[int]): N, drawn without repetition if there are as
            many pixels with depth, else with; None takes each once.
        columns (Sequence[str]): Columns behind xyz, always in this order:
            ``'region'``, the id of the point's 2D region, 0 = in no region;
            ``'pixel'``, index into the flattened depth image; ``'origin'``, x,
            y, z in the world before centering and augmentation, meters;
            ``'color'``, RGB from 0 to 255, 0 where the color camera sees
            nothing.
        center (str): Origin of the points. ``'floor'``: mean x and y, and the
            floor in z, which is a low percentile as in VoteNet's heights;
            ``'mean'``: their mean; ``'none'``: that of the world.
        folder (str): Folder of the frames.
        region_folder (str): Folder of the id maps, read for ``'region'`` only.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 num_points: Optional[int] = 20000,
                 columns: Sequence[str] = ('region', ),
                 center: str = 'floor',
                 folder: str = 'posed_images',
                 region_folder: str = 'region_maps',
                 backend_args: Optional[dict] = None) -> None:
        super().__init__(folder, backend_args)
        check_center(center)
        self.point_columns = point_columns(columns)
        self.num_points = num_points
        self.center = center
        self.columns = tuple(self.point_columns)
        self.region_folder = region_folder

    @property
    def stores(self) -> List[Tuple[str, str]]:
        """Kind and folder of each store that is read."""
        stores = [('posed_images', self.folder)]
        if 'region' in self.point_columns:
            stores.append(('region_maps', self.region_folder))
        return stores

    def transform(self, results: dict) -> Optional[dict]:
        """Load the points; None if no pixel has depth.

        Raises StoreError when a file is missing.
        Raises FrameError when a file is damaged or of another size, or cameras
        or pose cannot be used.
        """
        images = self.open_images(results)
        scan, frame = results['scan'], results['frame']
        depth = read_stored_image(images.root, scan, frame, self.backend_args)
        pixels = self._choose(np.flatnonzero(depth > 0))
        if not len(pixels):
            self.skip(f'{images.label(scan, frame)}.png has no pixel with '
                      'depth')
            return None
        cameras = images.cameras(scan)
        metres = depth.astype(np.float32) / _MILLIMETRES
        xyz = back_project(metres, cameras.depth_intrinsics, pixels)
        world = transform(xyz, images.read_pose(scan, frame))
        columns: Dict[str, np.ndarray] = dict(pixel=pixels, origin=world)
        for name, image in self._read_images(results, images).items():
            if cameras.is_single and depth.shape != image.shape[:2]:
                raise StoreError(
                    f'{scan}/{frame}: depth is {depth.shape[::-1]}, the '
                    f'{name} image {image.shape[1::-1]}, and there is no '
                    'second camera; make that image again')
            columns[name] = seen_values(xyz, pixels, image, cameras)
        centered = world - find_origin(world, self.center)
        values = np.column_stack(
            [centered, *(columns[name] for name in self.point_columns)])
        results['points'] = DepthPoints(
            torch.from_numpy(values.astype(np.float32)),
            points_dim=values.shape[1],
            attribute_dims=dict(self.point_columns))
        return results

    def _read_images(self, results: dict,
                     images: PosedImages) -> Dict[str, np.ndarray]:
        """Images that columns are made of, by the name of the column."""
        scan, frame = results['scan'], results['frame']
        found = {}
        if 'region' in self.point_columns:
            found['region'] = read_stored_image(
                data_folder(results, self.region_folder), scan, frame,
                self.backend_args)
            results['num_regions'] = int(found['region'].max())
        if 'color' in self.point_columns:
            found['color'] = images.read_color(scan, frame)
        return found

    def _choose(self, pixels: np.ndarray) -> np.ndarray:
        if self.num_points is None or not len(pixels):
            return pixels
        return sample_generator().choice(
            pixels, self.num_points, replace=len(pixels) < self.num_points)
