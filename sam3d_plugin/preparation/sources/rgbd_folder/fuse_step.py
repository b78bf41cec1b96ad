"""The step that gives scans of RGB-D frames a cloud of points."""
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np

from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, PathLike, is_local, join
from ....store.manifest import Store
from ....store.posed_images import PosedImages, RGBDFrame
from ....store.records import ItemRecord
from ...checking.scan_checks import (Checks, check_source, read_checks,
                                     summarize_checks)
from ...checking.source_frames import Source, SourceFrame, sample
from ...lifting.region_paths import name_region_files
from ...running.frame_steps import Product, ScanStep
from ..scans.infos import StoredScan, describe_scan, scan_files, write_split
from ..scans.scan import Scan
from .fusion import fuse_frames

KIND = 'fused_scans'


@dataclass(frozen=True)
class FusionSettings:
    """See :func:`fuse_frames`.

    Args:
        voxel (float): Edge of the voxels, meters.
        max_depth (float): Meters beyond which depth is not used.
        min_pixels (int): Minimum number of pixels per voxel.
        max_points (Optional[int]): Limit of voxels; the most seen are kept.

    Raises:
        StoreError: When one is not positive.
    """
    voxel: float = 0.025
    max_depth: float = 5.0
    min_pixels: int = 3
    max_points: Optional[int] = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 < value < np.inf:
                option = name.replace('_', '-')
                raise StoreError(f'--{option} {value:g} must be positive')


class FuseStep(ScanStep):
    """posed_images/<scan> to points/<scan>.bin, without labels.

    Args:
        data (PathLike): Folder of the data set.
        settings (FusionSettings): See :func:`fuse_frames`.
        backend_args (BackendArgs): Arguments of the file backend.
        is_checked (bool): Whether scans whose frames disagree, or which do
            not have z up, are refused.
    """
    kind = KIND

    def __init__(self,
                 data: PathLike,
                 settings: FusionSettings = FusionSettings(),
                 backend_args: BackendArgs = None,
                 is_checked: bool = True) -> None:
        self.images = PosedImages(join(data, 'posed_images'), backend_args)
        self.is_checked = is_checked
        self.fusion = settings

    def settings(self) -> Dict[str, Any]:
        """The arguments of :func:`fuse_frames`."""
        return dict(vars(self.fusion))

    def scans(self) -> List[str]:
        """The scans of posed_images; StoreError when there is none."""
        scans = self.images.scans()
        if not scans:
            raise StoreError(f'{self.images.root} holds no scan with an '
                             'intrinsic.txt; run import_rgbd_folder.py first')
        return scans

    def items(self, scan: str) -> List[str]:
        """The scan itself; FrameError while its frames are incomplete."""
        self._fingerprint(scan)
        return [scan]

    def paths(self, scan: str, item: str) -> List[str]:
        """Points and empty masks."""
        return [
            f'instance_mask/{scan}.bin', f'semantic_mask/{scan}.bin',
            f'points/{scan}.bin'
        ]

    def make(self, scan: str, item: str) -> Product:
        skipped: Dict[str, str] = {}
        checks = self._check(scan)
        xyz, rgb = fuse_frames(
            self._frames(scan, skipped), **vars(self.fusion))
        fused = _unlabeled(scan, xyz, rgb)
        fields = dict(
            describe_scan(fused).to_fields(),
            left_out=skipped,
            checks=asdict(checks))
        return Product(scan_files(fused), fields)

    def _check(self, scan: str) -> Checks:
        """Compare some frames; what an import let through stays so."""
        imported = read_checks(self.images, scan)

        def read(name: str) -> SourceFrame:
            frame = self.images.read(scan, name)
            return SourceFrame(frame.color, frame.depth * 1000, frame.pose)

        frames, cameras = sample(
            self.images.frames(scan), read, self.images.cameras(scan))
        return check_source(
            Source(scan, frames, cameras), imported.up == 'given',
            self.is_checked and imported.is_checked)

    def _frames(self, scan: str, skipped: Dict[str,
                                               str]) -> Iterator[RGBDFrame]:
        for name in self.images.frames(scan):
            try:
                yield self.images.read(scan, name)
            except FrameError as error:
                skipped[name] = str(error)

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The scan's frames."""
        return dict(frames=self._fingerprint(scan))

    def _fingerprint(self, scan: str) -> str:
        """Of the frames; empty if none of our steps has written them."""
        store = Store(self.images.root, self.images.backend_args)
        return self.images.fingerprint(scan) if store.exists() else ''

    def is_up_to_date(self, scan: str, item: str, record: ItemRecord) -> bool:
        """Whether it was fused from the current frames, without skips."""
        return not record.fields.get('left_out') and super().is_up_to_date(
            scan, item, record)


def _unlabeled(name: str, xyz: np.ndarray, rgb: np.ndarray) -> Scan:
    nothing = np.zeros(len(xyz), dtype=np.int64)
    return Scan(
        name,
        Path(name),
        xyz,
        rgb,
        np.eye(4),
        semantic=nothing,
        instance=nothing,
        boxes=np.zeros((0, 6)),
        box_classes=nothing[:0])


def check_splits(splits: Dict[str, List[str]], scans: Sequence[str],
                 data: PathLike) -> None:
    """StoreError when a split names a scan that is not there."""
    for split, members in splits.items():
        missing = sorted(set(members) - set(scans))
        if missing:
            raise StoreError(f'{data}: split {split} names {missing[0]}, '
                             'which is not a fused scan; it has '
                             f'{", ".join(list(scans)[:5])}')


def describe_checks(out: PathLike, backend_args: BackendArgs) -> List[str]:
    """Summary of the checks of the fused scans; see summarize_checks."""
    return summarize_checks({
        scan: Checks(**item.fields['checks'])
        for scan, record in Store(out, backend_args).manifest().items()
        for item in record.completed.values() if 'checks' in item.fields
    })


def write_infos(out: PathLike, splits: Dict[str, List[str]],
                backend_args: BackendArgs) -> Dict[str, Path]:
    """Write the infos of the fused scans; without splits, every scan is in
    train and val.

    StoreError when a split names a scan that is not there, or the folder is
    not local.
    """
    if not is_local(out, backend_args):
        raise StoreError(f'{out}: mmdet3d reads infos from local folders; '
                         'fuse into one and copy the points afterwards')
    stored = {
        scan: StoredScan.from_fields(item.fields)
        for scan, record in Store(out, backend_args).manifest().items()
        for item in record.completed.values()
    }
    splits = splits or dict(train=sorted(stored), val=sorted(stored))
    check_splits(splits, sorted(stored), out)
    paths = {
        split: write_split(Path(out), split, [stored[n] for n in members])
        for split, members in splits.items() if members
    }
    for path in paths.values():
        # Regions of an earlier run stay in use.
        name_region_files(path, join(out, 'regions'), backend_args)
    return paths
