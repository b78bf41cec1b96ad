"""The color or depth image of a frame, as an input of its own."""
from typing import Dict, List, Optional, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet3d.registry import TRANSFORMS

from sam3d_plugin.ops.projection import scale_intrinsics
from sam3d_plugin.store.posed_images import PosedImages
from ...store.errors import UserError
from .load_rgbd_points import data_folder

# Depth of different surfaces must not be averaged.
_INTERPOLATION = dict(color=cv2.INTER_AREA, depth=cv2.INTER_NEAREST_EXACT)


@TRANSFORMS.register_module()
class LoadFrameImage(BaseTransform):
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
        kind (str): ``'color'`` or ``'depth'``. Defaults to 'color'.
        size (Optional[Tuple[int, int]]): H, W to resize to; None keeps the
            stored size. Defaults to None.
        folder (str): Folder of the frames. Defaults to 'posed_images'.
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
        self.kind = kind
        self.size = size
        self.folder = folder
        self.backend_args = backend_args
        self._images: Dict[str, PosedImages] = {}

    @property
    def stores(self) -> List[Tuple[str, str]]:
        """Kind and folder of each store that is read."""
        return [('posed_images', self.folder)]

    def transform(self, results: dict) -> dict:
        """Read the image."""
        root = data_folder(results, self.folder)
        if root not in self._images:
            self._images[root] = PosedImages(root, self.backend_args)
        images, scan = self._images[root], results['scan']
        cameras, pose = images.cameras(scan), images.read_pose(
            scan, results['frame'])
        to_camera = np.linalg.inv(pose)
        if self.kind == 'color':
            image = images.read_color(scan, results['frame'])
            intrinsics = cameras.color_intrinsics
            to_camera = cameras.depth_to_color @ to_camera
        else:
            image = images.read_depth(scan, results['frame'])
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

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(kind={self.kind!r}, '
                f'size={self.size})')
