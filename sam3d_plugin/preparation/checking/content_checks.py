"""Checks of the contents of a store's files.

A check gets one file of an item, or of the scan itself, and says in sentences
what is wrong with it, or raises what its decoder raises. A new kind of store
needs one function and one entry in :data:`CONTENT_CHECKS`.

Shapes: N points, R regions, H W pixels.
"""
import io
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Callable, Dict, Iterator, Optional, Tuple
from zipfile import BadZipFile

import numpy as np

from ...store.errors import FrameError, StoreError
from ...store.files import (BackendArgs, checksum, exists, join, list_names,
                            read_bytes, size_of)
from ...store.frame_rows import unpack_frames
from ...store.image_files import image_size
from ...store.manifest import HEADER, Store
from ...store.posed_images import (DEPTH_TO_COLOR, INTRINSIC, INTRINSIC_DEPTH,
                                   PosedImages, check_pose, decode_color,
                                   decode_depth, decode_image, decode_matrix)
from ...store.records import ItemRecord, ScanRecord
from ...store.region_features import unpack_features
from ...store.region_file import decode_region_file
from ...store.region_groups import (GROUP_IDS, GROUPS_FILE, RegionGroups,
                                    decode_groups)
from ...store.region_maps import RegionMaps, decode_region_map

_CAMERA_FILES = (INTRINSIC, INTRINSIC_DEPTH, DEPTH_TO_COLOR)
_POINT_BYTES, _MASK_BYTES = 6 * 4, 8


@dataclass(frozen=True)
class Checked:
    """Files to check, and where they belong."""
    data: str  # Folder of the data set
    folder: str  # Folder of the files in it, e.g. ``'region_maps'``
    record: ScanRecord  # Of the scan
    item: Optional[ItemRecord]  # None for files of the scan itself
    files: Dict[str, bytes]  # Content by path relative to ``folder``
    backend_args: BackendArgs = None  # Arguments of the file backend
    # What checks of one run keep for each other: readers of the inputs of
    # stores, by their folder
    shared: Dict[str, Any] = field(default_factory=dict)

    def name(self, path: str) -> str:
        """Path relative to the data set, for messages."""
        return f'{self.folder}/{path}'

    def beside(self, *names: str) -> str:
        """Path of something else of the data set."""
        return join(self.data, *names)

    def images(self) -> PosedImages:
        """The frames of the data set."""
        return self.shared.setdefault(
            'posed_images',
            PosedImages(self.beside('posed_images'), self.backend_args))


ContentCheck = Callable[[Checked, str, bytes], Iterator[str]]


def check_contents(kind: str, checked: Checked) -> Iterator[Tuple[str, str]]:
    """Paths of files, and what is wrong with their contents."""
    for path, content in checked.files.items():
        try:
            for what in CONTENT_CHECKS[kind](checked, path, content):
                yield path, what
        except ValueError as error:
            yield path, str(error)


def _check_posed_image(checked: Checked, path: str,
                       content: bytes) -> Iterator[str]:
    """Images that decode, rigid poses, depth that is there and fits."""
    name, file = checked.name(path), PurePosixPath(path)
    if file.suffix == '.txt':
        matrix = decode_matrix(content, name)
        if file.name not in _CAMERA_FILES:
            check_pose(matrix, name)
        elif not np.isfinite(matrix).all():
            yield 'it is not finite'
    elif file.suffix == '.json':
        yield from _check_json(checked, path, content)
    elif file.suffix in ('.jpg', '.jpeg'):
        decode_color(content, name)
    elif file.suffix == '.png':
        shape = decode_depth(content, name).shape
        color = str(file.with_suffix('.jpg'))
        with suppress(KeyError, FrameError):  # which have their own complaint
            if image_size(checked.files[color], color) != shape and _is_single(
                    checked, str(file.parent)):
                yield 'depth and color are of different sizes'


def _is_single(checked: Checked, scan: str) -> bool:
    images = PosedImages(checked.beside(checked.folder), checked.backend_args)
    with suppress(ValueError, OSError):  # which have their own complaint
        return images.cameras(scan).is_single
    return False


def _size_beside(checked: Checked, path: str) -> Optional[Tuple[int, int]]:
    """H, W of an image in posed_images; None when there is none."""
    file = checked.beside('posed_images', path)
    with suppress(FileNotFoundError, FrameError):
        return image_size(read_bytes(file, checked.backend_args), path)
    return None


def _check_region_map(checked: Checked, path: str,
                      content: bytes) -> Iterator[str]:
    """Ids 1..R without gaps, as many as recorded, at the image's size."""
    ids = decode_region_map(content, checked.name(path))
    recorded = checked.item.fields.get('regions') if checked.item else None
    if recorded is not None and recorded != int(ids.max()):
        yield f'it has {int(ids.max())} regions, its record says {recorded}'
    frame = PurePosixPath(path).stem
    with suppress(FrameError):  # incomplete, as its own store tells
        known = checked.images().checksum(checked.record.scan, frame)
        yield from _check_inputs(checked, frame, frame=known)
    size = _size_beside(checked, str(PurePosixPath(path).with_suffix('.jpg')))
    if size is None:
        yield 'the color image of its frame is missing'
    elif size != ids.shape:
        yield (f'it is {ids.shape[1]}x{ids.shape[0]}, the color image '
               f'{size[1]}x{size[0]}')


def _check_region_features(checked: Checked, path: str,
                           content: bytes) -> Iterator[str]:
    """Finite features, one row for each region of the recorded frames."""
    frames = unpack_features(content, checked.name(path))
    recorded = set(checked.record.completed)
    missing = sorted(recorded - set(frames))
    extra = sorted(set(frames) - recorded)
    parts = [f'lacks frame {", ".join(missing[:3])}'] if missing else []
    parts += [f'has frame {", ".join(extra[:3])} too'] if extra else []
    if parts:
        yield f'it {" and ".join(parts)}, against its record'
    for frame, arrays in frames.items():
        if not (np.isfinite(arrays.mean).all()
                and np.isfinite(arrays.max).all()):
            yield f'a feature of frame {frame} is not finite'
    counts = {frame: len(a.areas) for frame, a in frames.items()}
    yield from _rows_fit(checked, checked.record.scan, counts)


def _check_frame_pairs(checked: Checked, path: str,
                       content: bytes) -> Iterator[str]:
    """Partners that are frames of the file, and overlaps that are shares."""
    frames = unpack_frames(content, checked.name(path), ('partner', 'overlap'))
    for frame, rows in frames.items():
        if not ((rows['partner'] >= 0) & (rows['partner'] < len(frames)) &
                (rows['overlap'] > 0) & (rows['overlap'] <= 1)).all():
            yield f'partners of frame {frame} are out of range'


def _rows_fit(checked: Checked, scan: str, counts: Dict[str,
                                                        int]) -> Iterator[str]:
    """Compare rows with the regions of the frames' id maps."""
    maps = _id_maps(checked)
    record = maps.record(scan) if maps else None
    if maps is None or record is None:
        return
    for frame, count in counts.items():
        if frame not in record.completed:
            yield f'frame {frame} has no id map'
            continue
        regions = record.completed[frame].fields.get('regions', count)
        if count != regions:
            yield (f'frame {frame} has {count} rows, its id map {regions} '
                   'regions')
        else:
            known = maps.checksum(scan, frame)
            yield from _check_inputs(checked, frame, id_map=known)


def _check_inputs(checked: Checked, name: str, **inputs: str) -> Iterator[str]:
    """Compare an item's recorded inputs with the current files."""
    item = checked.record.items.get(name)
    if item and not item.is_up_to_date(inputs):
        what = ' and '.join(inputs).replace('_', ' ')
        yield f'the {what} of {name} changed after it was made'


def _id_maps(checked: Checked) -> Optional[RegionMaps]:
    """The id maps that a store was computed from, if in the data set."""
    key = f'{checked.folder}/id_maps'
    if key not in checked.shared:
        checked.shared[key] = _find_id_maps(checked)
    return checked.shared[key]


def _find_id_maps(checked: Checked) -> Optional[RegionMaps]:
    settings = Store(checked.beside(checked.folder),
                     checked.backend_args).header()['settings']
    if 'features' in settings:  # groups
        features = _find_store(
            checked, 'region_features', lambda store: checksum(
                store.read(HEADER)) == settings['features']['store'])
        if features is None:
            return None
        settings = features.header()['settings']
    wanted = settings.get('regions', settings.get('region_maps'))
    maps = _find_store(checked, 'region_maps',
                       lambda store: wanted == store.header()['settings'])
    return RegionMaps(maps.root, checked.backend_args) if maps else None


def _find_store(checked: Checked, kind: str,
                is_wanted: Callable[[Store], bool]) -> Optional[Store]:
    """A store of the data set, first that of the usual name."""
    names = list_names(checked.data, checked.backend_args, folders=True)
    for name in sorted(names, key=lambda name: name != kind):
        store = Store(checked.beside(name), checked.backend_args)
        with suppress(StoreError):  # it has a complaint of its own
            if store.exists() and store.header().get('kind') == kind and (
                    is_wanted(store)):
                return store
    return None


def _check_region_groups(checked: Checked, path: str,
                         content: bytes) -> Iterator[str]:
    """Group ids below K, one for each region, that add up to the counts."""
    if path == GROUPS_FILE:
        yield from _check_groups(checked, path, content)
    elif path.endswith('.safetensors'):
        yield from _check_group_ids(checked, path)
    elif path.endswith('.json'):
        yield from _check_json(checked, path, content)
    elif path.endswith('.png'):
        decode_color(content, checked.name(path))


def _check_groups(checked: Checked, path: str,
                  content: bytes) -> Iterator[str]:
    groups = decode_groups(content, checked.name(path))
    if not (np.isfinite(groups.centroids).all()
            and np.isfinite(groups.weights).all()):
        yield 'a centroid or weight is not finite'
    store = Store(checked.beside(checked.folder), checked.backend_args)
    if 'groups_of' in store.header()['settings']:
        return  # the counts are those of the training set
    reader = RegionGroups(checked.beside(checked.folder), checked.backend_args)
    total = np.zeros(len(groups.counts), np.int64)
    for scan in reader.scans():
        ids = reader.read_scan(scan, GROUP_IDS)
        total += np.bincount(ids, minlength=len(total))[:len(total)]
    if (total != groups.counts).any():
        group = int(np.flatnonzero(total != groups.counts)[0])
        yield (f'group {group} counts {groups.counts[group]} regions, the '
               f'scans have {total[group]}')


def _check_group_ids(checked: Checked, path: str) -> Iterator[str]:
    reader = RegionGroups(checked.beside(checked.folder), checked.backend_args)
    try:
        count = len(reader.groups().counts)
    except FileNotFoundError:
        yield f'there is no {GROUPS_FILE} beside it'
        return
    scan = PurePosixPath(path).stem
    frames = {frame: reader.read(scan, frame) for frame in reader.frames(scan)}
    for frame, ids in frames.items():
        if len(ids) and not 0 <= ids.min() <= ids.max() < count:
            yield f'frame {frame} has a group that is none of {count}'
    rows = {frame: len(ids) for frame, ids in frames.items()}
    yield from _rows_fit(checked, scan, rows)


def _check_scan_regions(checked: Checked, path: str,
                        content: bytes) -> Iterator[str]:
    """Region ids that belong to the scan's points."""
    scan = PurePosixPath(path).stem
    points = checked.beside('points', f'{scan}.bin')
    if not exists(points, checked.backend_args):
        yield f'points/{scan}.bin, whose regions these are, is missing'
        return
    values = np.frombuffer(read_bytes(points, checked.backend_args), np.uint8)
    size = len(values) // _POINT_BYTES * _POINT_BYTES
    xyz = values[:size].view('<f4').reshape(-1, 6)[:, :3]
    try:
        decode_region_file(content, checked.name(path), xyz)
    except ValueError as error:
        yield str(error)
    maps = _id_maps(checked)
    known = maps.scan_checksum(scan) if maps else ''
    yield from _check_inputs(checked, scan, id_maps=known)


def _check_frame_regions(checked: Checked, path: str,
                         content: bytes) -> Iterator[str]:
    """As many ids as the record tells."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            count = len(arrays['region_ids'])
    except (EOFError, KeyError, ValueError, OSError, BadZipFile) as error:
        yield f'it is not a readable file of region ids ({error})'
        return
    recorded = checked.item.fields.get('points') if checked.item else None
    if recorded is not None and recorded != count:
        yield f'it has {count} ids, its record says {recorded}'
    maps, frame = _id_maps(checked), PurePosixPath(path).stem
    known = maps.checksum(checked.record.scan, frame) if maps else ''
    yield from _check_inputs(checked, frame, id_map=known)


def _check_points(checked: Checked, path: str,
                  content: bytes) -> Iterator[str]:
    """Complete rows of finite coordinates and colors."""
    if not content or len(content) % _POINT_BYTES:
        yield f'{len(content)} bytes do not make complete points of 6 values'
    elif not np.isfinite(np.frombuffer(content, '<f4')).all():
        yield 'a coordinate or color is not finite'
    scan = PurePosixPath(path).stem
    if checked.item and 'frames' in checked.item.inputs:
        with suppress(FrameError):  # incomplete, as its own store tells
            frames = checked.images().fingerprint(scan)
            yield from _check_inputs(checked, scan, frames=frames)


def _check_mask(checked: Checked, path: str, content: bytes) -> Iterator[str]:
    """One id for each point."""
    points = size_of(checked.beside('points', path), checked.backend_args)
    if points // _POINT_BYTES != len(content) / _MASK_BYTES:
        yield (f'it is of {len(content) / _MASK_BYTES:g} points, '
               f'points/{path} has {max(points, 0) // _POINT_BYTES}')


def _check_frame_instances(checked: Checked, path: str,
                           content: bytes) -> Iterator[str]:
    """True ids, uint16, as large as the depth image of the frame."""
    ids = decode_image(content, checked.name(path))
    if ids.dtype != np.uint16:
        yield f'it is {ids.dtype}, not uint16'
    if _size_beside(checked, path) not in (None, ids.shape):
        yield 'it is not as large as the depth image'


def _check_json(checked: Checked, path: str, content: bytes) -> Iterator[str]:
    try:
        json.loads(content)
    except ValueError as error:
        yield f'it is not valid JSON ({error})'


# By the folder of the files, or by the kind of a store with its own folder.
CONTENT_CHECKS: Dict[str, ContentCheck] = dict(
    posed_images=_check_posed_image,
    region_maps=_check_region_map,
    region_features=_check_region_features,
    region_groups=_check_region_groups,
    frame_pairs=_check_frame_pairs,
    frame_regions=_check_frame_regions,
    regions=_check_scan_regions,
    scan_regions=_check_scan_regions,
    points=_check_points,
    instance_mask=_check_mask,
    semantic_mask=_check_mask,
    frame_instances=_check_frame_instances,
    infos=_check_json,
    scenes=_check_json)
