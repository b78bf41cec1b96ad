"""Frames of a prepared data set that can be trained on.

Headers and manifests tell, and the sizes of one file per scan; no image is
read. Stores that do not belong together are refused.
"""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import mmengine

from sam3d_plugin.store.errors import BROKEN_PICKLE, FrameError, StoreError
from sam3d_plugin.store.files import (checksum, is_local, join, list_names,
                                      read_bytes)
from sam3d_plugin.store.frame_checksums import read_frame_checksums
from sam3d_plugin.store.frame_rows import SUFFIX
from sam3d_plugin.store.manifest import HEADER, Store, differences
from sam3d_plugin.store.posed_images import PosedImages
from sam3d_plugin.store.records import ScanRecord
from sam3d_plugin.store.region_features import model_of
from sam3d_plugin.store.region_groups import GROUPS, RegionGroups

_READERS = 16
_TOOLS = dict(
    region_maps='tools/preparation/generate_regions.py',
    region_features='tools/preparation/extract_features.py',
    region_groups='tools/preparation/build_groups.py')
_NO_FRAMES = 'no depth images; import the scan with tools/preparation'
_NO_MAP = f'no id map; run {_TOOLS["region_maps"]}'
_NO_FEATURES = f'no features; run {_TOOLS["region_features"]}'

Records = Dict[str, ScanRecord]


@dataclass
class FrameIndex:
    """The frames of a data set."""
    # Names of the frames by scan
    frames: Dict[str, List[str]] = field(default_factory=dict)
    # Why a frame (``scan/frame``) or a scan is left out
    skipped: Dict[str, str] = field(default_factory=dict)
    # Regions in each group of the training set; None without groups
    group_counts: Optional[List[int]] = None
    # What made the region features; None without any
    feature_model: Optional[str] = None

    def keep(self, scan: str, frames: Iterable[str],
             reasons: Dict[str, str]) -> None:
        """Keep the frames of a scan that have no reason against them."""
        self.frames[scan] = [name for name in frames if name not in reasons]
        self.skipped.update({f'{scan}/{f}': r for f, r in reasons.items()})


def read_scan_names(path: str,
                    backend_args: Optional[dict] = None) -> List[str]:
    """Names of scans from a list or an annotation file, each once.

    A text has one name in a line; a ``.pkl`` of mmdet3d 1.1 or later is read
    only from a source that you trust.

    Raises StoreError when it cannot be read or names no scan.
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


def index_frames(stores: Sequence[Tuple[str, str]],
                 scans: Optional[List[str]] = None,
                 min_regions: int = 1,
                 backend_args: Optional[dict] = None) -> FrameIndex:
    """List the frames that are in all stores.

    ``stores`` has kind and folder of each: one posed_images, at most one
    region_maps, any number of region_features and region_groups. Frames with
    fewer than ``min_regions`` are left out, where there are id maps. Frames
    are sorted, in the order of ``scans`` (None is all).

    Raises StoreError when a store is missing, damaged or does not belong to
    the others, or no frame is left.
    """
    images, *others = _folders(stores, 'posed_images')
    if others:
        raise StoreError(f'the pipeline reads frames of {images} and of '
                         f'{others[0]}; name one folder in all its steps')
    maps = [
        _open(root, 'region_maps', backend_args)
        for root in _folders(stores, 'region_maps')
    ]
    features = [
        _open(root, 'region_features', backend_args)
        for root in _folders(stores, 'region_features')
    ]
    index = FrameIndex()
    map_records = maps[0].manifest() if maps else {}
    if scans is None:
        scans = sorted(
            {*map_records, *PosedImages(images, backend_args).scans()})
    if maps:
        for scan in scans:
            _add_mapped(index, scan, map_records.get(scan), min_regions)
    else:
        _add_images(index, images, scans, backend_args)
    _check_frames(index, images, maps, map_records, backend_args)
    for store in features:
        _join_features(index, store, maps, map_records)
        index.feature_model = model_of(store.header()['settings'])
    for root in _folders(stores, 'region_groups'):
        groups = _open(root, 'region_groups', backend_args)
        _check_groups(index, groups, features)
    if not Store(images, backend_args).exists():
        if not maps:  # which would have to fit, too
            _drop_misfits(index, images, backend_args)
        _drop_bad_poses(index, images, backend_args)
    index.frames = {s: names for s, names in index.frames.items() if names}
    if not index.frames:
        reasons = '; '.join(f'{n}: {r}' for n, r in index.skipped.items())
        raise StoreError(
            f'no frame of {len(scans)} scan(s) in '
            f'{maps[0].root if maps else images} can be used: '
            f'{reasons[:200]}; name other scans in ann_file' +
            (f', or run {_TOOLS["region_maps"]} again' if maps else ''))
    return index


def _folders(stores: Sequence[Tuple[str, str]], kind: str) -> List[str]:
    """Folders of a kind, each once."""
    return list(dict.fromkeys(root for k, root in stores if k == kind))


def _open(root: str, kind: str, backend_args: Optional[dict]) -> Store:
    """A store that exists, of the right kind and version."""
    store = Store(root, backend_args)
    if not store.exists():
        raise StoreError(f'{root} is missing or no store; run '
                         f'{_TOOLS[kind]} first')
    found = store.header().get('kind')
    if found != kind:
        raise StoreError(f'{root} holds {found}, not {kind}; name the right '
                         'folder in the pipeline')
    return store


def _add_mapped(index: FrameIndex, scan: str, record: Optional[ScanRecord],
                min_regions: int) -> None:
    """List a scan's frames that have id maps."""
    if record is None or not record.items:
        index.skipped[scan] = (record.reason if record else '') or _NO_MAP
        return
    reasons = {}
    for frame, item in record.items.items():
        count = item.fields.get('regions')
        if item.status != 'ok':
            reasons[frame] = item.reason
        elif count is not None and count < min_regions:
            reasons[frame] = (
                f'{count} region(s), min_regions is {min_regions}')
    index.keep(scan, sorted(record.items), reasons)


def _add_images(index: FrameIndex, images: str, scans: List[str],
                backend_args: Optional[dict]) -> None:
    """List the frames that have a depth image."""
    find = partial(_list_frames, images, backend_args=backend_args)
    with ThreadPoolExecutor(_READERS) as pool:
        for scan, frames in zip(scans, pool.map(find, scans)):
            index.frames[scan] = frames
            if not frames:
                index.skipped[scan] = _NO_FRAMES


def _list_frames(images: str, scan: str,
                 backend_args: Optional[dict]) -> List[str]:
    """Names of the frames that have a depth image."""
    files = list_names(join(images, scan), backend_args, '.png')
    return [PurePosixPath(file).stem for file in files]


def _check_frames(index: FrameIndex, images: str, maps: List[Store],
                  map_records: Records, backend_args: Optional[dict]) -> None:
    """Leave out incomplete scans, and refuse id maps of other frames."""

    def check(scan: str) -> str:
        try:
            checksums = read_frame_checksums(images, scan, backend_args)
        except FrameError as error:
            return str(error)
        if maps:
            listed = _list_frames(images, scan, backend_args)
            for frame in sorted({*listed} - {*map_records[scan].items}):
                index.skipped[f'{scan}/{frame}'] = _NO_MAP
        for frame in index.frames[scan] if maps else ():
            item = map_records[scan].items[frame]
            if not item.is_up_to_date(dict(frame=checksums.get(frame, ''))):
                raise StoreError(
                    f'{maps[0].root}: the id map of {scan}/{frame} is of an '
                    f'older frame; run {_TOOLS["region_maps"]} again')
        return ''

    with ThreadPoolExecutor(_READERS) as pool:
        for scan, reason in zip(index.frames, pool.map(check, index.frames)):
            if reason:
                index.skipped[scan] = reason
                index.frames[scan] = []


def _join_features(index: FrameIndex, features: Store, maps: List[Store],
                   map_records: Records) -> None:
    """Keep the frames that have features of their id maps."""
    if maps:
        found = differences(features.header()['settings'].get('regions', {}),
                            maps[0].header()['settings'])
        if found:
            raise StoreError(
                f'{features.root} was computed from different region maps '
                f'than {maps[0].root} holds: {"; ".join(found[:3])}; run '
                f'{_TOOLS["region_features"]} --out another folder, or name '
                'the id maps that belong to it as region_folder')
    records = features.manifest()
    widths: Dict[int, str] = {}
    for scan, frames in index.frames.items():
        record = records.get(scan, ScanRecord(scan))
        reasons = {}
        for frame in frames:
            item = record.items.get(frame)
            if item is None or item.status != 'ok':
                reasons[frame] = item.reason if item else _NO_FEATURES
                continue
            id_map = map_records[scan].items[frame].fingerprint if maps else ''
            if not item.is_up_to_date(dict(id_map=id_map)):
                raise StoreError(
                    f'{features.root}: the features of {scan}/{frame} are of '
                    f'an older id map; run {_TOOLS["region_features"]} again')
            widths.setdefault(item.fields['channels'], scan)
        index.keep(scan, frames, reasons)
        if index.frames[scan]:
            _check_sizes(features, record.files, 'region_features')
    if len(widths) > 1:
        (a, first), (b, second), *_ = widths.items()
        raise StoreError(f'{features.root}: {first} has features of {a} '
                         f'channels, {second} of {b}; extract them all with '
                         'one encoder')


def _check_groups(index: FrameIndex, groups: Store,
                  features: List[Store]) -> None:
    """Refuse groups of other features, and count the regions of each."""
    records = groups.manifest()
    if features:
        made_of = groups.header()['settings'].get('features', {})
        if not any(_is_made_of(made_of, records, f) for f in features):
            raise StoreError(
                f'{groups.root} was computed from different features than '
                f'{features[0].root} holds; run {_TOOLS["region_groups"]} '
                'again with another --set, or remove the folder first')
    for scan in [s for s, frames in index.frames.items() if frames] + [GROUPS]:
        if scan not in records:
            raise StoreError(
                f'{groups.root} has no groups of {scan}; run '
                f'{_TOOLS["region_groups"]} for the same list of scans (with '
                '--centroids for a set that is not trained on)')
        for item in records[scan].completed.values():
            _check_sizes(groups, item.files, 'region_groups')
    found = RegionGroups(groups.root, groups.backend_args).groups()
    index.group_counts = found.counts.tolist()


def _is_made_of(made_of: Dict[str, Any], group_records: Records,
                features: Store) -> bool:
    """Whether groups were made of the present content of some features."""
    records = features.manifest()
    lines = []
    for scan in sorted(set(group_records) - {GROUPS}):
        files = records.get(scan, ScanRecord(scan)).files
        lines.append(f'{scan} {files.get(f"{scan}{SUFFIX}", (0, None))[1]}')
    return made_of == dict(
        made_of,
        store=checksum(features.read(HEADER)),
        content=checksum('\n'.join(lines).encode()))


def _check_sizes(store: Store, files: Dict[str, Any], kind: str) -> None:
    """Refuse local files that are missing or of another size than recorded."""
    if not is_local(store.root, store.backend_args):
        return
    for name, mark in files.items():
        if not store.is_there({name: mark}):
            raise StoreError(
                f'{store.path(name)} is missing or not of the {mark[0]:,} '
                f'bytes that its record tells; run {_TOOLS[kind]} again, '
                'which makes what is missing')


def _drop_misfits(index: FrameIndex, root: str,
                  backend_args: Optional[dict]) -> None:
    """Leave out scans whose depth and color cannot be of one camera.

    mmdet3d's extraction of ScanNet has the intrinsics of the color images
    alone. The first frame tells.
    """
    images = PosedImages(root, backend_args)

    def find_misfit(scan: str) -> str:
        for frame in index.frames[scan][:1]:
            try:
                sizes = images.sizes(scan, frame)
            except FrameError:  # said when its turn comes
                return ''
            try:
                images.check_sizes(scan, frame, *sizes)
            except FrameError as error:
                return str(error)
        return ''

    with ThreadPoolExecutor(_READERS) as pool:
        for scan, reason in zip(index.frames,
                                pool.map(find_misfit, index.frames)):
            if reason:
                index.skipped[scan] = reason
                index.frames[scan] = []


def _drop_bad_poses(index: FrameIndex, root: str,
                    backend_args: Optional[dict]) -> None:
    """Leave out frames whose pose is missing or not rigid.

    Our steps write none; ScanNet's own are infinite where tracking failed.
    """
    images = PosedImages(root, backend_args)

    def find_reason(scan: str, frame: str) -> str:
        try:
            images.read_pose(scan, frame)
        except FrameError as error:
            return str(error)
        return ''

    with ThreadPoolExecutor(_READERS) as pool:
        for scan, frames in index.frames.items():
            reasons = pool.map(find_reason, [scan] * len(frames), frames)
            index.keep(scan, frames, {
                f: r
                for f, r in zip(frames, reasons) if r
            })


def describe_skipped(skipped: Dict[str, str], num_named: int = 10) -> str:
    """Number of the skipped, and the first names and reasons, in a line."""
    named = list(skipped.items())[:num_named]
    text = '; '.join(f'{name} ({reason})' for name, reason in named)
    rest = len(skipped) - num_named
    return f'{len(skipped)} skipped: {text}' + (f'; and {rest} more'
                                                if rest > 0 else '')
