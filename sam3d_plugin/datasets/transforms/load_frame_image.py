"""Color or depth image of a frame as an input."""
from typing import List, Optional, Tuple

import cv2
import numpy as np
from mmdet3d.registry import TRANSFORMS

from sam3d_plugin.ops.projection import scale_intrinsics
from ...store.errors import UserError
from .base import FrameStep

# Depth of different surfaces must not be averaged.
_INTERPOLATION = dict(color=cv2.INTER_AREA, depth=cv2.INTER_NEAREST_EXACT)


@TRANSFORMS.register_module()
class LoadFrameImage(FrameStep):
    """Read an image of the frame and its camera.

    A point whose column ``origin`` is x is seen at the pixel
    ``intrinsics @ (world_to_camera @ x)``, whatever augmentation did to it.

    Required Keys:

    - data_root (str), scan (str), frame (str)

    Added Keys (``KIND`` is the argument ``kind``):

    - KIND_image (np.ndarray): (3, H, W) uint8 RGB, or (1, H, W) float32
      meters, 0 = none
    - KIND_intrinsics (np.ndarray): (3, 3) float32, pixels of this image; the
      center of the first pixel is (0, 0)
    - KIND_pose (np.ndarray): (4, 4) float32 from the world to this camera,
      meters

    Args:
        kind (str): ``'color'`` or ``'depth'``.
        size (Optional[Tuple[int, int]]): H, W to resize to; None keeps the
            stored size.
        folder (str): Folder of the frames.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 kind: str = 'color',
                 size: Optional[Tuple[int, int]] = None,
                 folder: str = 'posed_images',
                 backend_args: Optional[dict] = None) -> None:
        if kind not in _INTERPOLATION:
            raise UserError(f'kind {kind!r} is unknown; choose color or '
                            'depth')
        super().__init__(folder, backend_args)
        self.kind = kind
        self.size = size

    @property
    def stores(self) -> List[Tuple[str, str]]:
        """Kind and folder of each store that is read."""
        return [('posed_images', self.folder)]

    def transform(self, results: dict) -> dict:
        """Read the image.

        Raises FrameError when a file is missing or damaged, or the pose is not
        rigid.
        """
        images = self.open_images(results)
        scan, frame = results['scan'], results['frame']
        cameras = images.cameras(scan)
        to_camera = np.linalg.inv(images.read_pose(scan, frame))
        if self.kind == 'color':
            image = images.read_color(scan, frame)
            intrinsics = cameras.color_intrinsics
            to_camera = cameras.depth_to_color @ to_camera
        else:
            image = images.read_depth(scan, frame)
            intrinsics = cameras.depth_intrinsics
        if self.size is not None:
            height, width = image.shape[:2]
            intrinsics = scale_intrinsics(intrinsics, (height, width),
                                          self.size)
            image = cv2.resize(
                image,
                self.size[::-1],
                interpolation=_INTERPOLATION[self.kind])
        channels_first = np.atleast_3d(image).transpose(2, 0, 1)
        results[f'{self.kind}_image'] = np.ascontiguousarray(channels_first)
        results[f'{self.kind}_intrinsics'] = intrinsics.astype(np.float32)
        results[f'{self.kind}_pose'] = to_camera.astype(np.float32)
        return results
