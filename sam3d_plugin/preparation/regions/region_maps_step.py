"""The step that finds the regions of frames.

Shapes: H W pixels, R regions.
"""
from typing import Any, Dict, Iterator, List, Sequence, Union

import numpy as np

from ...store.errors import FrameError
from ...store.files import BackendArgs, PathLike, join
from ...store.posed_images import PosedImages, RGBDFrame
from ...store.region_maps import check_region_map, encode_region_map
from ..running.frame_steps import PosedFramesStep, Product
from ..skipping import try_each
from .generators import RegionGenerator


class RegionMapStep(PosedFramesStep):
    """Frames to uint16 id maps at color resolution.

    Args:
        images (PathLike): Folder ``posed_images``.
        generator (RegionGenerator): Finds the regions.
        backend_args (BackendArgs): Arguments of the images' file backend.
    """
    kind = 'region_maps'

    def __init__(self,
                 images: PathLike,
                 generator: RegionGenerator,
                 backend_args: BackendArgs = None) -> None:
        self.images = PosedImages(images, backend_args)
        self.generator = generator
        self.batch_size = generator.batch_size
        self.in_process = generator.in_process

    def settings(self) -> Dict[str, Any]:
        """The generator's name and settings."""
        return dict(
            generator=self.generator.name, options=self.generator.settings())

    def paths(self, scan: str, item: str) -> List[str]:
        """The one PNG of a frame."""
        return [join(scan, f'{item}.png')]

    def process(self, scan: str,
                items: Sequence[str]) -> List[Union[Product, FrameError]]:
        """Find the regions of some frames."""
        frames = try_each(lambda item: self._read(scan, item), items)
        usable = [frame for frame in frames if isinstance(frame, RGBDFrame)]
        maps = iter(self.generator.generate(usable) if usable else ())
        return try_each(lambda frame: self._product(frame, maps), frames)

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The frame, and what the generator reads besides."""
        return dict(
            self.generator.inputs(scan, item),
            frame=self.images.checksum(scan, item))

    def _read(self, scan: str, name: str) -> RGBDFrame:
        if self.generator.needs_depth:
            return self.images.read(scan, name)
        return RGBDFrame(
            scan=scan,
            name=name,
            color=self.images.read_color(scan, name),
            depth=np.zeros((0, 0), np.float32),
            pose=np.full((4, 4), np.nan),
            cameras=self.images.cameras(scan))

    def _product(self, frame: Union[RGBDFrame, FrameError],
                 maps: Iterator[Union[np.ndarray, FrameError]]) -> Product:
        """The next map as a product; raises what a frame has instead."""
        if isinstance(frame, FrameError):
            raise frame
        ids = next(maps)
        if isinstance(ids, FrameError):
            raise ids
        path, = self.paths(frame.scan, frame.name)
        ids = check_region_map(ids, path)
        if ids.shape != frame.color.shape[:2]:
            raise AssertionError(f'{self.generator.name} made a map of '
                                 f'{ids.shape} for {frame.color.shape[:2]}')
        covered = np.count_nonzero(ids) / ids.size
        return Product({path: encode_region_map(ids)},
                       dict(regions=int(ids.max()), covered=round(covered, 4)))
