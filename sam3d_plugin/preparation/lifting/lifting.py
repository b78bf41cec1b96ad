"""2D regions to points: of one RGB-D frame, or of the scan that it sees.

The arithmetic is in :mod:`sam3d_plugin.ops.lifting`. Shapes: N points,
H W pixels.
"""
from typing import Tuple

import numpy as np

from ...ops.lifting import depth_regions, lift_regions, projection_matrix
from ...ops.projection import transform
from ...store.errors import FrameError
from ...store.image_files import image_size
from ...store.posed_images import PosedImages, RGBDFrame
from ...store.region_maps import RegionMaps
from ..sources.scans.source_files import read_source_file

# Ours: how far from the measured depth a point still counts as seen.
DEPTH_TOLERANCE = 0.05


def check_map_size(frame: RGBDFrame, region_map: np.ndarray) -> None:
    """Check that an id map has the size of the color image.

    Args:
        frame (RGBDFrame): The frame.
        region_map (np.ndarray): (H, W) ids.

    Raises:
        FrameError: When the sizes differ.
    """
    if region_map.shape != frame.color.shape[:2]:
        raise FrameError(
            f'{frame.scan}/{frame.name}: the id map is '
            f'{region_map.shape[1]}x{region_map.shape[0]}, the color image '
            f'{frame.color.shape[1]}x{frame.color.shape[0]}; make the regions '
            'of this frame again')


def read_frame(images: PosedImages, maps: RegionMaps, scan: str,
               name: str) -> Tuple[RGBDFrame, np.ndarray]:
    """Read what lifting needs of a frame, which is everything but color.

    Returns the frame with a black image of the right size, since only the
    header of the color file is read, and its id map (H, W) uint16. FrameError
    when a file is missing or damaged, or sizes disagree.
    """
    region_map = maps.read(scan, name)
    frame = RGBDFrame(scan, name, _black_image(images, scan, name),
                      images.read_depth(scan, name),
                      images.read_pose(scan, name), images.cameras(scan))
    check_map_size(frame, region_map)
    images.check_sizes(scan, name, region_map.shape, frame.depth.shape)
    return frame, region_map


def _black_image(images: PosedImages, scan: str, name: str) -> np.ndarray:
    """(H, W, 3) zeros that take no memory."""
    file = f'{name}.jpg'
    label = images.label(scan, file)
    content = read_source_file(
        images.path(scan, file), label, 'extract the frame again',
        images.backend_args)
    return np.broadcast_to(np.uint8(0), (*image_size(content, label), 3))


def frame_points(frame: RGBDFrame,
                 region_map: np.ndarray,
                 in_world: bool = True) -> Tuple[np.ndarray, np.ndarray]:
    """Back-projected depth with the region of each point.

    Args:
        frame (RGBDFrame): One frame.
        region_map (np.ndarray): (H, W) uint16 ids at the size of the color
            image, 0 = in no region.
        in_world (bool): Whether to return points in the world's frame
            instead of the depth camera's.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (N, 3) float32 xyz, meters, of the
        pixels with depth in row-major order, and (N,) uint16 ids, 0 = in no
        region or outside the color image.

    Raises:
        FrameError: When the id map has another size than the image.
    """
    check_map_size(frame, region_map)
    cameras = frame.cameras
    xyz, region_ids, _ = depth_regions(frame.depth, region_map,
                                       cameras.depth_intrinsics,
                                       cameras.depth_to_color,
                                       cameras.color_intrinsics)
    if in_world:
        xyz = transform(xyz, frame.pose).astype(np.float32)
    return xyz, region_ids


def see_points(
        xyz: np.ndarray,
        frame: RGBDFrame,
        region_map: np.ndarray,
        depth_tolerance: float = DEPTH_TOLERANCE
) -> Tuple[np.ndarray, np.ndarray]:
    """Regions of the scan's points in one frame, and which it sees.

    Args:
        xyz (np.ndarray): (N, 3) points of the scan, world frame, meters.
        frame (RGBDFrame): One frame of the scan.
        region_map (np.ndarray): (H, W) uint16 ids at the size of the color
            image, 0 = in no region.
        depth_tolerance (float): A point is seen if its depth differs by
            less from the measured one, meters.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (N,) uint16 ids, 0 = in no region or
        not seen, and (N,) bool, whether seen.

    Raises:
        FrameError: When the id map has another size than the image.
    """
    check_map_size(frame, region_map)
    cameras = frame.cameras
    to_depth = np.linalg.inv(frame.pose)
    color_projection = None
    if not cameras.is_single:
        color_projection = projection_matrix(cameras.color_intrinsics,
                                             cameras.depth_to_color @ to_depth)
    return lift_regions(xyz, frame.depth, region_map,
                        projection_matrix(cameras.depth_intrinsics, to_depth),
                        color_projection, depth_tolerance)


def lift_to_points(xyz: np.ndarray,
                   frame: RGBDFrame,
                   region_map: np.ndarray,
                   depth_tolerance: float = DEPTH_TOLERANCE) -> np.ndarray:
    """(N,) uint16 ids of :func:`see_points`, 0 = in no region or not seen."""
    return see_points(xyz, frame, region_map, depth_tolerance)[0]
