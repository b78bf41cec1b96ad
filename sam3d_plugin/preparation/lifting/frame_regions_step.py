"""The step that stores per-point region ids of frames.

Training needs no such files, it lifts while it loads; they are for programs
that do not read id maps.

    frame_regions/<scan>/<frame>.npz    region_ids (N,) uint16 of the depth
                                        pixels that have depth, in row-major
                                        order; depth_shape (2,), H and W

Shapes: N points, H W pixels of the depth image.
"""
import io
from typing import Any, Dict, List, Optional

import numpy as np

from ...store.files import BackendArgs, PathLike, join
from ...store.manifest import Store
from ...store.posed_images import PosedImages
from ...store.region_maps import RegionMaps
from ..running.frame_steps import PosedFramesStep, Product
from .lifting import frame_points, read_frame


class FrameRegionsStep(PosedFramesStep):
    """Gives the points of each frame the region of their color pixel.

    Args:
        data (PathLike): Folder of the data set, with ``posed_images``.
        maps (Optional[PathLike]): Folder of the id maps; ``region_maps`` of
            the data set if None.
        backend_args (BackendArgs): Arguments of the file backend.
    """
    kind = 'frame_regions'
    batch_size = 8

    def __init__(self,
                 data: PathLike,
                 maps: Optional[PathLike] = None,
                 backend_args: BackendArgs = None) -> None:
        self.backend_args = backend_args
        self.images = PosedImages(join(data, 'posed_images'), backend_args)
        self.maps = RegionMaps(
            join(data, 'region_maps') if maps is None else maps, backend_args)

    def settings(self) -> Dict[str, Any]:
        """Settings of the id maps."""
        header = Store(self.maps.root, self.backend_args).header()
        return dict(region_maps=header['settings'])

    def paths(self, scan: str, item: str) -> List[str]:
        """The one file of a frame."""
        return [join(scan, f'{item}.npz')]

    def make(self, scan: str, item: str) -> Product:
        frame, region_map = read_frame(self.images, self.maps, scan, item)
        region_ids = frame_points(frame, region_map)[1]
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            region_ids=region_ids,
            depth_shape=np.array(frame.depth.shape))
        covered = np.count_nonzero(region_ids) / max(len(region_ids), 1)
        return Product({self.paths(scan, item)[0]: buffer.getvalue()},
                       dict(
                           points=len(region_ids),
                           regions=len(np.unique(region_ids[region_ids > 0])),
                           covered=round(covered, 4)))

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The id map, and with it the frame that it was computed from."""
        return dict(id_map=self.maps.checksum(scan, item))
