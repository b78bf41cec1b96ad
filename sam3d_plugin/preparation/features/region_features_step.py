"""The step that pools an image encoder's features inside regions.

Shapes: R regions, C channels, H W pixels, h w features.
"""
from typing import Any, Callable, Dict, List, Sequence, Tuple, Union

import numpy as np
from torch import Tensor

from ...store.errors import FrameError
from ...store.files import BackendArgs, PathLike, join
from ...store.frame_rows import SUFFIX
from ...store.manifest import Store
from ...store.posed_images import PosedImages
from ...store.records import ItemRecord
from ...store.region_features import (KIND, RegionFeatureArrays, pack_features,
                                      to_feature_arrays, unpack_features)
from ...store.region_maps import RegionMaps
from ..running.frame_steps import PosedFramesStep, Product
from ..skipping import try_each
from .encoders import ImageEncoder
from .region_pooling import pool_regions

_Input = Tuple[np.ndarray, np.ndarray]


class RegionFeatureStep(PosedFramesStep):
    """Color images and their id maps to features of regions.

    Args:
        images (PathLike): Folder ``posed_images``.
        regions (PathLike): Folder ``region_maps``, made by a step.
        encoder (ImageEncoder): Turns images into feature maps.
        backend_args (BackendArgs): Arguments of the file backend of both.
    """
    kind = KIND
    packs_items = True

    def __init__(self,
                 images: PathLike,
                 regions: PathLike,
                 encoder: ImageEncoder,
                 backend_args: BackendArgs = None) -> None:
        self.images = PosedImages(images, backend_args)
        self.maps = RegionMaps(regions, backend_args)
        self.region_store = Store(regions, backend_args)
        self.encoder = encoder
        self.batch_size = encoder.batch_size
        self.in_process = encoder.in_process

    def settings(self) -> Dict[str, Any]:
        """The encoder's name and settings, and those of the id maps."""
        return dict(
            encoder=self.encoder.name,
            options=self.encoder.settings(),
            regions=self.region_store.header()['settings'])

    def items(self, scan: str) -> List[str]:
        """All frames; FrameError when the scan's id maps are incomplete."""
        self.maps.check_complete(scan)
        return super().items(scan)

    def paths(self, scan: str, item: str) -> List[str]:
        """The features of one frame, until its scan is packed."""
        return [join(scan, f'{item}{SUFFIX}')]

    def process(self, scan: str,
                items: Sequence[str]) -> List[Union[Product, FrameError]]:
        """Encode some frames and pool their regions."""
        inputs = try_each(lambda item: self._read(scan, item), items)
        images = [i[0] for i in inputs if not isinstance(i, FrameError)]
        maps = iter(self.encoder.encode(images) if images else ())

        def pool(item: str, read: Union[_Input, FrameError]) -> Product:
            if isinstance(read, FrameError):
                raise read
            return self._pool(scan, item, read[1], next(maps))

        return try_each(lambda pair: pool(*pair), zip(items, inputs))

    def _read(self, scan: str, frame: str) -> _Input:
        """Image and id map of a frame, of one size."""
        regions = self.maps.read(scan, frame)
        color = self.images.read_color(scan, frame)
        if regions.shape != color.shape[:2]:
            raise FrameError(
                f'id map {scan}/{frame}.png is '
                f'{regions.shape[1]}x{regions.shape[0]}, the color image '
                f'{color.shape[1]}x{color.shape[0]}; make the id map again')
        return color, regions

    def _pool(self, scan: str, frame: str, regions: np.ndarray,
              feature_map: Tensor) -> Product:
        pooled = pool_regions(feature_map, regions, int(regions.max()))
        path, = self.paths(scan, frame)
        arrays = to_feature_arrays(*pooled, path)
        count, channels = arrays.mean.shape
        return Product({path: pack_features({frame: arrays})},
                       dict(regions=count, channels=channels))

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The id map, and with it the frame that it was computed from."""
        return dict(id_map=self.maps.checksum(scan, item))

    def finish(self, scan: str, items: Dict[str, ItemRecord],
               read: Callable[[str], bytes]) -> Dict[str, bytes]:
        """Pack the features of all frames into one file.

        A frame without files is in the file that an earlier run has packed.
        """
        name, frames = f'{scan}{SUFFIX}', {}
        packed: Dict[str, RegionFeatureArrays] = {}
        for frame, item in items.items():
            if not item.files and not packed:
                packed = unpack_features(read(name), name)
            own = {
                frame: arrays
                for path in item.files
                for frame, arrays in unpack_features(read(path), path).items()
            }
            frames[frame] = (own or packed)[frame]
        return {name: pack_features(frames)} if frames else {}
