"""The step that gives every point of a scan its region.

Shapes: N points.
"""
import json
from dataclasses import asdict
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ...store.errors import FrameError
from ...store.files import BackendArgs, PathLike, exists, join, read_bytes
from ...store.manifest import Store
from ...store.posed_images import IMPORT, PosedImages
from ...store.records import ItemRecord
from ...store.region_file import encode_region_file, hash_points
from ...store.region_maps import RegionMaps
from ..point_files import read_points
from ..running.frame_steps import Product, ScanStep
from .lifting import DEPTH_TOLERANCE, read_frame, see_points
from .region_merging import MergeOptions, RegionMerger
from .region_paths import read_offsets

# Share of a scan's points seen by frames below which it may be out of place.
_FEW_SEEN = 0.5


class ScanRegionsStep(ScanStep):
    """Lifts the id maps of a scan's frames to its points and merges them.

    Args:
        data (PathLike): Folder of the data set, with ``points`` and
            ``posed_images``. Points are in the world frame of the poses.
        maps (Optional[PathLike]): Folder of the id maps; ``region_maps`` of
            the data set if None.
        options (Optional[MergeOptions]): When regions of two views are one.
        depth_tolerance (float): See :func:`~.lifting.see_points`, meters.
        backend_args (BackendArgs): Arguments of the file backend.
    """
    kind = 'scan_regions'

    def __init__(self,
                 data: PathLike,
                 maps: Optional[PathLike] = None,
                 options: Optional[MergeOptions] = None,
                 depth_tolerance: float = DEPTH_TOLERANCE,
                 backend_args: BackendArgs = None) -> None:
        self.data = str(data)
        self.options = options or MergeOptions()
        self.depth_tolerance = depth_tolerance
        self.backend_args = backend_args
        self.images = PosedImages(join(data, 'posed_images'), backend_args)
        self.offsets = read_offsets(data, backend_args)
        self.maps = RegionMaps(
            join(data, 'region_maps') if maps is None else maps, backend_args)

    def settings(self) -> Dict[str, Any]:
        """Options, and settings of the id maps, which must be a store.

        Raises StoreError when the folder of the id maps is not a store.
        """
        header = Store(self.maps.root, self.backend_args).header()
        return dict(
            depth_tolerance=self.depth_tolerance,
            merging=asdict(self.options),
            region_maps=header['settings'])

    def scans(self) -> List[str]:
        """All scans that have frames."""
        return self.images.scans()

    def paths(self, scan: str, item: str) -> List[str]:
        """Its region file."""
        return [f'{scan}.npz']

    def make(self, scan: str, item: str) -> Product:
        self.maps.check_complete(scan)
        xyz = self.read_points(scan)
        seen = (xyz + self._shift(scan)).astype(xyz.dtype)
        region_ids, fields = lift_scan(seen, scan, self.images, self.maps,
                                       self.options, self.depth_tolerance)
        content = encode_region_file(region_ids, xyz, scan)
        return Product({self.paths(scan, scan)[0]: content}, fields)

    def _shift(self, scan: str) -> np.ndarray:
        """(3,) meters from points to poses, both moved near the origin."""
        path = join(self.images.root, scan, IMPORT)
        if scan not in self.offsets:
            return np.zeros(3)
        world = np.eye(4)
        if exists(path, self.backend_args):
            world = np.array(
                json.loads(read_bytes(path, self.backend_args))['world'])
        return self.offsets[scan] + world[:3, 3]

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The points, and the id maps with their frames."""
        return dict(
            id_maps=self.maps.scan_checksum(scan),
            points=hash_points(self.read_points(scan)))

    def is_up_to_date(self, scan: str, item: str, record: ItemRecord) -> bool:
        """Whether points and id maps are unchanged since."""
        maps = self.maps.record(scan)
        usable = maps.completed if maps else {}
        if any(frame in usable for frame in record.fields.get('left_out', ())):
            return False  # tried again, like frames of other steps
        return super().is_up_to_date(scan, item, record)

    def read_points(self, scan: str) -> np.ndarray:
        """(N, 3) float32 points of a scan as stored, world frame, meters.

        Raises FrameError when the file is missing or of another form.
        """
        points = read_points(
            join(self.data, 'points'), scan, self.backend_args)
        return np.ascontiguousarray(points[:, :3])


def lift_scan(
    xyz: np.ndarray,
    scan: str,
    images: PosedImages,
    maps: RegionMaps,
    options: Optional[MergeOptions] = None,
    depth_tolerance: float = DEPTH_TOLERANCE
) -> Tuple[np.ndarray, Dict[str, Any]]:
    """Regions of a scan's (N, 3) points from all of its frames.

    Points are in the world frame, meters. Returns (N,) int32 ids 1..R, 0 = in
    no region, and numbers for the record; ``covered`` and ``seen`` are shares
    of the points, ``left_out`` says why frames could not be used. FrameError
    when no frame can, or none sees a point.
    """
    merger = RegionMerger(options)
    is_seen = np.zeros(len(xyz), bool)
    skipped: Dict[str, str] = {}
    names = images.frames(scan)
    for name in names:
        try:
            frame, region_map = read_frame(images, maps, scan, name)
        except FrameError as error:
            skipped[name] = str(error).replace(f'{images.root}/', '').replace(
                f'{maps.root}/', '')
            continue
        ids, is_seen_now = see_points(xyz, frame, region_map, depth_tolerance)
        is_seen |= is_seen_now
        merger.add(ids)
    if len(skipped) == len(names):
        reason = next(iter(skipped.values()), 'there is none')
        raise FrameError(f'{scan} has no frame to lift: {reason}')
    if not is_seen.any():
        raise FrameError(f'{scan}: no frame sees any of its points; points '
                         'and poses must be in the same frame of reference')
    region_ids = merger.result(xyz)
    fields = dict(
        regions=int(region_ids.max()),
        points=len(xyz),
        covered=round(float((region_ids > 0).mean()), 4),
        seen=round(float(is_seen.mean()), 4),
        frames=len(names) - len(skipped),
        left_out=skipped)
    return region_ids, fields


def describe_seen(out: PathLike, backend_args: BackendArgs = None) -> str:
    """A line on the share of the scans' points that frames see."""
    shares = {
        scan: item.fields['seen']
        for scan, record in Store(out, backend_args).manifest().items()
        for item in record.completed.values()
    }
    if not shares:
        return 'no scan was lifted'
    least = min(shares, key=lambda scan: shares[scan])
    text = (f'frames see {np.median(list(shares.values())):.0%} of the points '
            f'of a scan (median), {shares[least]:.0%} of {least}')
    if shares[least] < _FEW_SEEN:
        text += ('; if the frames show more of it, its points and poses are '
                 'not in one frame of reference')
    return text
