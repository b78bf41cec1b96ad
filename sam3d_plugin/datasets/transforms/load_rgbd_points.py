"""Points of an RGB-D frame, each with the region of its pixel.

Axis legend: N points, H W pixels of the depth image, H' W' of the id map.
"""
from typing import Dict, Optional

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import DepthPoints
from mmengine.logging import print_log

from sam3d_plugin.ops.projection import (back_project, pixel_indices, project,
                                         transform)
from sam3d_plugin.ops.scene_origin import (FLOOR_PERCENTILE, check_center,
                                           find_origin)
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import join, read_bytes
from sam3d_plugin.store.posed_images import Cameras, PosedImages
from ..seeding import sample_generator

_MILLIMETRES = np.float32(1000)
_PNG_END = b'IEND\xaeB`\x82'


def decode_uint16(content: bytes, name: str) -> np.ndarray:
    """Pixels of a 16-bit grey PNG.

    Args:
        content (bytes): The file.
        name (str): What to call it in the error.

    Returns:
        np.ndarray: (H, W) uint16.

    Raises:
        StoreError: When it is truncated or something else.
    """
    image = None
    if content.endswith(_PNG_END):
        image = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        raise StoreError(f'{name} is no whole 16-bit PNG; run tools/'
                         'preparation/verify.py, which names all that must '
                         'be made again')
    return image


def pixel_regions(xyz: np.ndarray, pixels: np.ndarray, region_map: np.ndarray,
                  cameras: Cameras) -> np.ndarray:
    """Regions of some depth pixels, as ``ops.lifting`` does for all of them.

    Args:
        xyz (np.ndarray): (N, 3) their points, depth camera, metres.
        pixels (np.ndarray): (N,) indices into the flattened depth image.
        region_map (np.ndarray): (H', W') uint16, 0 = in no region.
        cameras (Cameras): Of the scan.

    Returns:
        np.ndarray: (N,) uint16, 0 where the colour camera sees nothing.
    """
    flat = region_map.reshape(-1)
    if cameras.is_single:
        return flat[pixels]
    uv, _ = project(
        transform(xyz, cameras.depth_to_color), cameras.color_intrinsics)
    color_pixels, is_inside = pixel_indices(uv, *region_map.shape)
    return np.where(is_inside, flat[color_pixels], np.uint16(0))


@TRANSFORMS.register_module()
class LoadRGBDPoints(BaseTransform):
    """Back-project a random part of a frame's depth pixels.

    The pose turns the points into the world, whose z axis points up, so that
    rotations about z and heights mean what they do in whole scans; then they
    are centred. Colour images are not read. Only the chosen pixels become
    points. A frame without any depth is named and left to the dataset to
    replace.

    Required Keys:

    - scan (str), frame (str)
    - posed_images (str), region_maps (str): folders

    Added Keys:

    - points (:obj:`DepthPoints`): x, y, z, and the region id as
      ``attribute_dims['region']``, 0 = in no region
    - num_regions (int): R of the frame's id map
    - pixels (np.ndarray): (N,) pixel of each point, an index into the
      flattened depth image; it does not move with the points, so whatever
      reads it comes before they are sampled again

    Args:
        num_points (Optional[int]): N, drawn without repetition if there are
            as many pixels with depth, else with; None takes each once.
            Defaults to 20000.
        center (str): Origin of the points. ``'floor'``: mean x and y, and
            the floor in z, which is a low percentile as in VoteNet's heights;
            ``'mean'``: their mean; ``'none'``: that of the world. Defaults
            to 'floor'.
        floor_percentile (float): Which percentile. Defaults to 0.99, as in
            mmdet3d.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 num_points: Optional[int] = 20000,
                 center: str = 'floor',
                 floor_percentile: float = FLOOR_PERCENTILE,
                 backend_args: Optional[dict] = None) -> None:
        check_center(center)
        self.num_points = num_points
        self.center = center
        self.floor_percentile = floor_percentile
        self.backend_args = backend_args
        self._images: Dict[str, PosedImages] = {}

    def transform(self, results: dict) -> Optional[dict]:
        """Load the points.

        Args:
            results (dict): Result dict of the pipeline.

        Returns:
            Optional[dict]: With the points; None if no pixel has depth.

        Raises:
            StoreError: When a file is missing, damaged or of another size.
            FrameError: When cameras or pose cannot be used.
        """
        images = self._open(results['posed_images'])
        scan, frame = results['scan'], results['frame']
        depth = self._read_image(results['posed_images'], scan, frame)
        region_map = self._read_image(results['region_maps'], scan, frame)
        cameras = images.cameras(scan)
        if cameras.is_single and depth.shape != region_map.shape:
            raise StoreError(
                f'{scan}/{frame}: depth is {depth.shape[::-1]}, the id map '
                f'{region_map.shape[::-1]}, and there is no second camera; '
                'make the id map again')
        pixels = self._choose(np.flatnonzero(depth > 0))
        if not len(pixels):
            print_log(
                f'{images.label(scan, frame)}.png has no pixel with depth: '
                'another frame takes its place',
                logger='current',
                level='WARNING')
            return None
        metres = depth.astype(np.float32) / _MILLIMETRES
        xyz = back_project(metres, cameras.depth_intrinsics, pixels)
        ids = pixel_regions(xyz, pixels, region_map, cameras)
        xyz = transform(xyz, images.read_pose(scan, frame))
        xyz -= find_origin(xyz, self.center, self.floor_percentile)
        columns = np.column_stack([xyz, ids]).astype(np.float32)
        results['points'] = DepthPoints(
            torch.from_numpy(columns),
            points_dim=4,
            attribute_dims=dict(region=3))
        results['num_regions'] = int(region_map.max())
        results['pixels'] = pixels
        return results

    def _choose(self, pixels: np.ndarray) -> np.ndarray:
        if self.num_points is None or not len(pixels):
            return pixels
        return sample_generator().choice(
            pixels, self.num_points, replace=len(pixels) < self.num_points)

    def _open(self, root: str) -> PosedImages:
        if root not in self._images:
            self._images[root] = PosedImages(root, self.backend_args)
        return self._images[root]

    def _read_image(self, root: str, scan: str, frame: str) -> np.ndarray:
        path = join(root, scan, f'{frame}.png')
        try:
            content = read_bytes(path, self.backend_args)
        except FileNotFoundError:
            raise StoreError(
                f'{path} is missing, though the manifest names it; copy it '
                'again, or run the step that makes it') from None
        return decode_uint16(content, path)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(num_points={self.num_points}, '
                f'center={self.center!r})')
