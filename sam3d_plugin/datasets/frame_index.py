"""Which frames of a prepared data set can be trained on.

Axis legend: R regions, C channels.
"""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Dict, Iterable, List, Optional

import mmengine

from sam3d_plugin.store.errors import BROKEN_PICKLE, FrameError, StoreError
from sam3d_plugin.store.files import read_bytes
from sam3d_plugin.store.frame_checksums import read_frame_checksums
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages
from sam3d_plugin.store.records import ScanRecord
from .frame_preflight import (FrameFolders, Records, check_features_match_maps,
                              check_group_files, check_groups_match_features,
                              check_sizes, open_store)

_READERS = 16
_NO_MAP = 'no id map; run tools/preparation/generate_regions.py'
_NO_FEATURES = 'no features; run tools/preparation/extract_features.py'


@dataclass
class FrameIndex:
    """The frames of a data set.

    Attributes:
        frames (dict): Names of the frames by scan.
        skipped (dict): Why a frame (``scan/frame``) or a scan is left out.
        channels (Optional[int]): C; None without features.
    """
    frames: Dict[str, List[str]] = field(default_factory=dict)
    skipped: Dict[str, str] = field(default_factory=dict)
    channels: Optional[int] = None


def read_scan_names(path: str,
                    backend_args: Optional[dict] = None) -> List[str]:
    """Names of scans from a list or an annotation file.

    Args:
        path (str): Text with one name in a line, or a ``.pkl`` of mmdet3d
            1.1 or later (only from a source that you trust).
        backend_args (Optional[dict]): Arguments of the file backend.

    Returns:
        List[str]: Names, each once.

    Raises:
        StoreError: When it cannot be read or names no scan.
    """
    try:
        if path.endswith('.pkl'):
            infos = mmengine.load(path, backend_args=backend_args)
            paths = [
                info['lidar_points']['lidar_path']
                for info in infos['data_list']
            ]
            names = [PurePosixPath(p).stem for p in paths]
        else:
            names = read_bytes(path, backend_args).decode().split()
    except FileNotFoundError:
        raise StoreError(f'{path} is missing; name a list of scans or an '
                         'annotation file in ann_file') from None
    except (OSError, *BROKEN_PICKLE) as error:
        raise StoreError(
            f'{path} cannot be read ({error!r:.100}); give one scan name in a '
            'line, or an annotation file of mmdet3d 1.x') from error
    if not names:
        raise StoreError(f'{path} names no scan; write one name in a line')
    return list(dict.fromkeys(names))


def index_frames(folders: FrameFolders,
                 scans: Optional[List[str]] = None,
                 min_regions: int = 1,
                 backend_args: Optional[dict] = None) -> FrameIndex:
    """List the frames whose regions, features and groups are there.

    Manifests tell; no frame is read, but the poses of images that no step of
    ours has checked.

    Args:
        folders (FrameFolders): The stores.
        scans (Optional[List[str]]): Scans to use; None is all with id maps.
        min_regions (int): Frames with fewer regions are left out.
        backend_args (Optional[dict]): Arguments of the file backend.

    Returns:
        FrameIndex: In the order of ``scans``, frames sorted.

    Raises:
        StoreError: When a store is missing, damaged or does not belong to
            the others, or no frame is left.
    """
    maps = open_store(folders.region_maps, 'region_maps', backend_args)
    map_records = maps.manifest()
    scans = sorted(map_records) if scans is None else scans
    index = FrameIndex()
    for scan in scans:
        _add_scan(index, scan, map_records.get(scan), min_regions)
    _check_maps_match_frames(index, folders, map_records, backend_args)
    if folders.region_features:
        _join_features(index, folders, maps, map_records, backend_args)
    _drop_bad_poses(index, folders.posed_images, backend_args)
    index.frames = {
        scan: names
        for scan, names in index.frames.items() if names
    }
    if not index.frames:
        reasons = '; '.join(f'{n}: {r}' for n, r in index.skipped.items())
        raise StoreError(f'no frame of {len(scans)} scan(s) in '
                         f'{folders.region_maps} can be used: '
                         f'{reasons[:300]}; name other scans in ann_file, or '
                         'prepare these again with tools/preparation/'
                         'generate_regions.py and extract_features.py')
    return index


def _add_scan(index: FrameIndex, scan: str, record: Optional[ScanRecord],
              min_regions: int) -> None:
    """List a scan's frames that have id maps."""
    if record is None or not record.items:
        reason = record.reason if record else ''
        index.skipped[scan] = reason or _NO_MAP
        return
    index.frames[scan] = []
    for frame, item in sorted(record.items.items()):
        count = item.fields.get('regions')
        if item.status != 'ok':
            index.skipped[f'{scan}/{frame}'] = item.reason
        elif count is not None and count < min_regions:
            index.skipped[f'{scan}/{frame}'] = (
                f'{count} region(s), min_regions is {min_regions}')
        else:
            index.frames[scan].append(frame)


def _check_maps_match_frames(index: FrameIndex, folders: FrameFolders,
                             map_records: Records,
                             backend_args: Optional[dict]) -> None:
    """Refuse id maps of other frames, as far as records tell."""

    def check(scan: str) -> None:
        checksums = read_frame_checksums(folders.posed_images, scan,
                                         backend_args)
        for frame in index.frames[scan]:
            item = map_records[scan].items[frame]
            if not item.is_up_to_date(dict(frame=checksums.get(frame, ''))):
                raise StoreError(
                    f'{folders.region_maps}: the id map of {scan}/{frame} is '
                    'of an older frame; run tools/preparation/'
                    'generate_regions.py again')

    with ThreadPoolExecutor(_READERS) as pool:
        for scan, found in zip(index.frames,
                               [pool.submit(check, s) for s in index.frames]):
            try:
                found.result()
            except FrameError as error:
                index.skipped[scan] = str(error)
                index.frames[scan] = []


def _join_features(index: FrameIndex, folders: FrameFolders, maps: Store,
                   map_records: Records, backend_args: Optional[dict]) -> None:
    """Keep the frames that have features, and check the groups."""
    assert folders.region_features is not None
    features = open_store(folders.region_features, 'region_features',
                          backend_args)
    check_features_match_maps(features, maps)
    records = features.manifest()
    widths: Dict[int, str] = {}
    for scan, frames in index.frames.items():
        record = records.get(scan)
        kept = []
        for frame in frames:
            item = record.items.get(frame) if record else None
            if item is None or item.status != 'ok':
                index.skipped[f'{scan}/{frame}'] = (
                    item.reason if item else _NO_FEATURES)
                continue
            kept.append(frame)
            id_map = map_records[scan].items[frame].fingerprint
            if not item.is_up_to_date(dict(id_map=id_map)):
                raise StoreError(
                    f'{features.root}: the features of {scan}/{frame} are of '
                    'an older id map; run tools/preparation/'
                    'extract_features.py again')
            widths.setdefault(item.fields['channels'], scan)
        index.frames[scan] = kept
        if kept and record:
            check_sizes(features, record.files, 'region_features')
    if len(widths) > 1:
        (a, first), (b, second), *_ = widths.items()
        raise StoreError(f'{features.root}: {first} has features of {a} '
                         f'channels, {second} of {b}; extract them all with '
                         'one encoder')
    index.channels = next(iter(widths), None)
    if folders.region_groups and index.channels:
        groups = open_store(folders.region_groups, 'region_groups',
                            backend_args)
        group_records = groups.manifest()
        check_groups_match_features(groups, features, records, group_records)
        check_group_files(groups, {
            s: f
            for s, f in index.frames.items() if f
        }, group_records, index.channels)


def _drop_bad_poses(index: FrameIndex, root: str,
                    backend_args: Optional[dict]) -> None:
    """Leave out frames whose pose is missing or not rigid.

    Our steps write none; ScanNet's own are infinite where tracking failed.
    """
    if Store(root, backend_args).exists():
        return
    images = PosedImages(root, backend_args)

    def find_reason(scan: str, frame: str) -> Optional[str]:
        try:
            images.read_pose(scan, frame)
        except FrameError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(_READERS) as pool:
        for scan, frames in index.frames.items():
            reasons = pool.map(find_reason, [scan] * len(frames), frames)
            bad = {f: r for f, r in zip(frames, reasons) if r}
            index.skipped.update({f'{scan}/{f}': r for f, r in bad.items()})
            index.frames[scan] = [f for f in frames if f not in bad]


def describe_skipped(skipped: Dict[str, str], num_named: int = 10) -> str:
    """Say what is left out, in a line.

    Args:
        skipped (Dict[str, str]): Reasons by name.
        num_named (int): How many are named.

    Returns:
        str: Number, names and reasons.
    """
    named: Iterable[Any] = list(skipped.items())[:num_named]
    text = '; '.join(f'{name} ({reason})' for name, reason in named)
    rest = len(skipped) - num_named
    return f'{len(skipped)} skipped: {text}' + (f'; and {rest} more'
                                                if rest > 0 else '')
