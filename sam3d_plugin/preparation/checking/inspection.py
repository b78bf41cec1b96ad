"""Reader of the prepared data of a scan.

Shapes: N points, R regions, H W pixels.
"""
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ...ops.projection import back_project, transform
from ...ops.registration import color_pixels_of_depth
from ...store.errors import FrameError, StoreError
from ...store.files import BackendArgs, PathLike, exists, join, list_names
from ...store.manifest import Store
from ...store.posed_images import PosedImages, RGBDFrame
from ...store.region_file import read_region_file
from ...store.region_groups import RegionGroups
from ...store.region_maps import RegionMaps
from ...visualization.overlays import FramePanels
from ...visualization.scan_page import PagePoints
from ..point_files import read_points
from ..skipping import try_each


@dataclass
class RegionStatistics:
    """Numbers of the id maps of a scan."""
    areas: np.ndarray  # (sum R,) pixels of every region
    counts: List[int] = field(default_factory=list)  # Regions of each frame
    # Share of each frame's pixels in a region
    covered: List[float] = field(default_factory=list)
    # What is wrong with a frame's map, by frame
    damaged: Dict[str, str] = field(default_factory=dict)


class ScanInspection:
    """All prepared data of one scan.

    Args:
        data (PathLike): Folder of the data set.
        scan (str): Name of the scan.
        groups (Optional[str]): Which set of groups; the first by default.
        backend_args (BackendArgs): Arguments of the file backend.
    """

    def __init__(self,
                 data: PathLike,
                 scan: str,
                 groups: Optional[str] = None,
                 backend_args: BackendArgs = None) -> None:
        self.data = str(data)
        self.scan = scan
        self.backend_args = backend_args
        self.images = PosedImages(join(data, 'posed_images'), backend_args)
        self.maps = RegionMaps(join(data, 'region_maps'), backend_args)
        self.map_names = set(self.maps.frames(scan))
        self.groups, self.group_set = self._open_groups(groups)

    def _open_groups(self, name: Optional[str]) -> Tuple[Optional[Any], str]:
        root = join(self.data, 'region_groups')
        names = list_names(root, self.backend_args, folders=True)
        if name is not None and name not in names:
            raise StoreError(f'{root} has no set {name} of groups; it has '
                             f'{", ".join(names) or "none"}')
        for found in names if name is None else [name]:
            groups = RegionGroups(join(root, found), self.backend_args)
            if self.scan in groups.scans():
                return groups, found
        return None, ''

    def frame_names(self) -> List[str]:
        """Names of the scan's frames; empty when it has no images."""
        if self.scan not in self.images.scans():
            return []
        return self.images.frames(self.scan)

    def panels(self, names: Sequence[str]) -> List[FramePanels]:
        """Panels of some frames, except those without a readable image."""
        panels = try_each(self._panel, names)
        return [panel for panel in panels if isinstance(panel, FramePanels)]

    def _panel(self, name: str) -> FramePanels:
        """A frame, with a note on what of it cannot be read."""
        notes = []
        depth = ids = groups = None
        color = self.images.read_color(self.scan, name)
        try:
            depth = self.images.read_depth(self.scan, name)
        except FrameError as error:
            notes.append(self._shorten(error))
        try:
            ids = self.maps.read(self.scan, name)
            if ids.shape != color.shape[:2]:
                notes.append(f'the id map has another size, {ids.shape}')
                ids = None
        except FrameError as error:
            reason = self.skipped('region_maps').get(name)
            notes.append(
                f'skipped: {reason}' if reason else self._shorten(error))
        if ids is not None and self.groups is not None:
            groups = self._groups_of(name, int(ids.max()), notes)
        return FramePanels(name, color, ids, depth, groups, '; '.join(notes))

    def _groups_of(self, name: str, count: int,
                   notes: List[str]) -> Optional[np.ndarray]:
        assert self.groups is not None
        if name not in self.groups.frames(self.scan):
            return None
        groups = self.groups.read(self.scan, name)
        if len(groups) == count:
            return groups
        notes.append(f'{len(groups)} groups for {count} regions')
        return None

    def _shorten(self, error: Exception) -> str:
        return str(error).replace(f'{self.data}/', '')

    def skipped(self, folder: str) -> Dict[str, str]:
        """Reasons by frame, from the scan's record in one of the stores."""
        record = Store(join(self.data, folder),
                       self.backend_args).record(self.scan)
        if record is None:
            return {}
        reasons = {
            name: self._shorten(FrameError(item.reason))
            for name, item in record.items.items() if item.status != 'ok'
        }
        return {self.scan: record.reason} if record.reason else reasons

    def region_statistics(self) -> RegionStatistics:
        """Numbers of all id maps of the scan that can be read."""
        areas = []
        statistics = RegionStatistics(np.zeros(0, np.int64))
        for name in sorted(self.map_names):
            try:
                ids = self.maps.read(self.scan, name)
            except FrameError as error:
                statistics.damaged[name] = self._shorten(error)
                continue
            counts = np.bincount(ids.reshape(-1))
            areas.append(counts[1:])
            statistics.counts.append(len(counts) - 1)
            statistics.covered.append(1 - counts[0] / ids.size)
        if areas:
            statistics.areas = np.concatenate(areas)
        return statistics

    def points(self, names: Sequence[str],
               max_points: int) -> Optional[PagePoints]:
        """Points of the scan, or else about ``max_points`` that the frames
        see.

        None when there are neither; StoreError when a file is damaged.
        """
        if exists(
                join(self.data, 'points', f'{self.scan}.bin'),
                self.backend_args):
            return self._stored_points()
        return self._fused_points(names, max_points)

    def _stored_points(self) -> PagePoints:
        values = read_points(
            join(self.data, 'points'), self.scan, self.backend_args)
        rgb = values[:, 3:]
        # ScanNet stores 0 to 255, SUN RGB-D 0 to 1.
        rgb = (rgb * 255 if rgb.max() <= 1 else rgb).clip(0, 255)
        regions = join(self.data, 'regions', f'{self.scan}.npz')
        ids, note = None, 'no regions of the whole scan yet'
        if exists(regions, self.backend_args):
            try:
                ids = read_region_file(regions, values[:, :3],
                                       self.backend_args)
            except ValueError as error:
                raise StoreError(str(error)) from error
            note = f'{len(np.unique(ids[ids > 0])):,} regions of the scan'
        return PagePoints(values[:, :3], rgb.astype(np.uint8), ids,
                          f'{len(values):,} points of the scan, {note}')

    def _fused_points(self, names: Sequence[str],
                      max_points: int) -> Optional[PagePoints]:
        """Depth pixels of frames in the world; ids differ between frames."""
        parts, offset = [], 0
        for name in names:
            try:
                frame = self.images.read(self.scan, name)
            except FrameError:
                continue
            ids = np.zeros(frame.color.shape[:2], np.int64)
            with suppress(FrameError):
                found = self.maps.read(self.scan, name)
                ids = found.astype(
                    np.int64) if found.shape == ids.shape else (ids)
            parts.append(
                _frame_points(frame, np.where(ids, ids + offset, 0),
                              max_points // len(names)))
            offset += int(ids.max())
        if not parts:
            return None
        xyz, rgb, region_ids = map(np.concatenate, zip(*parts))
        return PagePoints(
            xyz, rgb, region_ids if offset else None,
            f'depth pixels of {len(parts)} frames, in the world by their '
            "poses; regions are each frame's own")


def _frame_points(frame: RGBDFrame, ids: np.ndarray,
                  count: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evenly spaced depth pixels of a frame with color and region."""
    cameras = frame.cameras
    height, width = ids.shape
    place = color_pixels_of_depth(frame.depth, cameras.depth_intrinsics,
                                  cameras.depth_to_color,
                                  cameras.color_intrinsics,
                                  (height, width)).reshape(-1)
    seen = np.flatnonzero((frame.depth.reshape(-1) > 0) & (place >= 0))
    seen = seen[::max(len(seen) // max(count, 1), 1)]
    xyz = back_project(frame.depth, cameras.depth_intrinsics, seen)
    place = place[seen]
    rgb = frame.color.reshape(-1, 3)[place]
    return transform(xyz, frame.pose), rgb, ids.reshape(-1)[place]
