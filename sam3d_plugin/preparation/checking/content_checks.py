"""Checks of the contents of a store's files.

A check gets some files of one item, or of the scan itself, and says in
sentences what is wrong with them. A new kind of store needs one function and
one entry in :data:`CONTENT_CHECKS`.

Shapes: N points, R regions, H W pixels.
"""
import io
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ...store.errors import FrameError, StoreError
from ...store.files import (BackendArgs, checksum, exists, join, list_names,
                            read_bytes, size_of)
from ...store.frame_rows import unpack_frames
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
_DECODERS = {'.jpg': decode_color, '.jpeg': decode_color, '.png': decode_depth}
_POINT_BYTES, _MASK_BYTES = 6 * 4, 8
_UNUSABLE = (FrameError, StoreError, ValueError)


@dataclass(frozen=True)
class Checked:
    """Files to check, and where they belong.

    Args:
        data (str): Folder of the data set.
        folder (str): Folder of the files in it, e.g. ``'region_maps'``.
        record (ScanRecord): Of the scan.
        item (Optional[ItemRecord]): None for files of the scan itself.
        files (dict): Content by path relative to ``folder``.
        backend_args (Optional[dict]): Arguments of the file backend.
        shared (dict): What checks of one run keep for each other: readers
            of the inputs of stores, by their folder.
    """
    data: str
    folder: str
    record: ScanRecord
    item: Optional[ItemRecord]
    files: Dict[str, bytes]
    backend_args: BackendArgs = None
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


# Path of the file, and what is wrong with it.
Complaint = Tuple[str, str]
ContentCheck = Callable[[Checked], Iterator[Complaint]]


def check_posed_images(checked: Checked) -> Iterator[Complaint]:
    """Images that decode, rigid poses, depth that is there and fits."""
    sizes: Dict[PurePosixPath, Dict[str, Tuple[int, ...]]] = {}
    for path, content in checked.files.items():
        file = PurePosixPath(path)
        name = checked.name(path)
        try:
            if file.suffix == '.txt':
                _check_matrix(content, name)
            elif file.suffix == '.json':
                json.loads(content)
            elif file.suffix in _DECODERS:
                image = _DECODERS[file.suffix](content, name)
                shapes = sizes.setdefault(file.with_suffix(''), {})
                shapes[file.suffix] = image.shape[:2]
        except _UNUSABLE as error:
            yield path, str(error)
    for stem, shapes in sizes.items():
        if len(set(shapes.values())) > 1 and _is_single(checked, stem):
            yield f'{stem}.png', 'depth and color are of different sizes'


def _check_matrix(content: bytes, name: str) -> None:
    matrix = decode_matrix(content, name)
    if PurePosixPath(name).name not in _CAMERA_FILES:
        check_pose(matrix, name)
    elif not np.isfinite(matrix).all():
        raise FrameError(f'{name} is not finite')


def _is_single(checked: Checked, stem: PurePosixPath) -> bool:
    images = PosedImages(checked.beside(checked.folder), checked.backend_args)
    with suppress(*_UNUSABLE, OSError):  # which have their own complaint
        return images.cameras(str(stem.parent)).is_single
    return False


def check_region_maps(checked: Checked) -> Iterator[Complaint]:
    """Ids 1..R without gaps, as many as recorded, at the image's size."""
    for path, content in checked.files.items():
        try:
            ids = decode_region_map(content, checked.name(path))
        except _UNUSABLE as error:
            yield path, str(error)
            continue
        recorded = checked.item.fields.get('regions') if checked.item else None
        if recorded is not None and recorded != int(ids.max()):
            yield path, (f'it has {int(ids.max())} regions, its record says '
                         f'{recorded}')
        frame = PurePosixPath(path).stem
        with suppress(FrameError):  # incomplete, as its own store tells
            known = checked.images().checksum(checked.record.scan, frame)
            yield from _check_inputs(checked, path, frame, frame=known)
        image = str(PurePosixPath(path).with_suffix('.jpg'))
        size = _size_in_header(
            checked.beside('posed_images', image), checked.backend_args)
        if size is None:
            yield path, 'the color image of its frame is missing'
        elif size != ids.shape:
            yield path, (f'it is {ids.shape[1]}x{ids.shape[0]}, the color '
                         f'image {size[1]}x{size[0]}')


def _size_in_header(path: str,
                    backend_args: BackendArgs) -> Optional[Tuple[int, int]]:
    """H, W of an image; None when there is none."""
    try:
        content = read_bytes(path, backend_args)
        with Image.open(io.BytesIO(content)) as image:
            return image.height, image.width
    except (FileNotFoundError, UnidentifiedImageError):
        return None


def check_region_features(checked: Checked) -> Iterator[Complaint]:
    """Finite features, one row for each region of the recorded frames."""
    for path, content in checked.files.items():
        try:
            frames = unpack_features(content, checked.name(path))
        except _UNUSABLE as error:
            yield path, str(error)
            continue
        if set(frames) != set(checked.record.completed):
            yield path, _frames_differ(
                set(frames), set(checked.record.completed))
        for frame, arrays in frames.items():
            if not (np.isfinite(arrays.mean).all()
                    and np.isfinite(arrays.max).all()):
                yield path, f'a feature of frame {frame} is not finite'
        counts = {frame: len(a.areas) for frame, a in frames.items()}
        yield from _rows_fit(checked, path, checked.record.scan, counts)


def check_frame_pairs(checked: Checked) -> Iterator[Complaint]:
    """Partners that are frames of the file, and overlaps that are shares."""
    for path, content in checked.files.items():
        try:
            frames = unpack_frames(content, checked.name(path),
                                   ('partner', 'overlap'))
        except _UNUSABLE as error:
            yield path, str(error)
            continue
        for frame, rows in frames.items():
            if not ((rows['partner'] >= 0) & (rows['partner'] < len(frames)) &
                    (rows['overlap'] > 0) & (rows['overlap'] <= 1)).all():
                yield path, f'partners of frame {frame} are out of range'


def _frames_differ(found: set, recorded: set) -> str:
    missing, extra = sorted(recorded - found), sorted(found - recorded)
    parts = [f'lacks frame {", ".join(missing[:3])}'] if missing else []
    parts += [f'has frame {", ".join(extra[:3])} too'] if extra else []
    return f'it {" and ".join(parts)}, against its record'


def _rows_fit(checked: Checked, path: str, scan: str,
              counts: Dict[str, int]) -> Iterator[Complaint]:
    """Compare rows with the regions of the frames' id maps."""
    maps = _id_maps(checked)
    record = maps.record(scan) if maps else None
    for frame, count in counts.items() if maps and record else ():
        assert maps is not None and record is not None
        if frame not in record.completed:
            yield path, f'frame {frame} has no id map'
        elif count != record.completed[frame].fields.get('regions', count):
            yield path, (
                f'frame {frame} has {count} rows, its id map '
                f'{record.completed[frame].fields["regions"]} regions')
        else:
            known = maps.checksum(scan, frame)
            yield from _check_inputs(checked, path, frame, id_map=known)


def _check_inputs(checked: Checked, path: str, name: str,
                  **inputs: str) -> Iterator[Complaint]:
    """Compare an item's recorded inputs with the current files."""
    item = checked.record.items.get(name)
    if item and not item.is_up_to_date(inputs):
        what = ' and '.join(inputs).replace('_', ' ')
        yield path, f'the {what} of {name} changed after it was made'


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
        try:
            if store.exists() and store.header().get('kind') == kind and (
                    is_wanted(store)):
                return store
        except StoreError:
            continue  # it has a complaint of its own
    return None


def check_region_groups(checked: Checked) -> Iterator[Complaint]:
    """Group ids below K, one for each region, that add up to the counts."""
    for path, content in checked.files.items():
        name = checked.name(path)
        try:
            if path == GROUPS_FILE:
                yield from _check_groups(checked, path, content)
            elif path.endswith('.safetensors'):
                yield from _check_group_ids(checked, path)
            elif path.endswith('.json'):
                json.loads(content)
            elif path.endswith('.png'):
                decode_color(content, name)
        except _UNUSABLE as error:
            yield path, str(error)


def _check_groups(checked: Checked, path: str,
                  content: bytes) -> Iterator[Complaint]:
    groups = decode_groups(content, checked.name(path))
    if not (np.isfinite(groups.centroids).all()
            and np.isfinite(groups.weights).all()):
        yield path, 'a centroid or weight is not finite'
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
        yield path, (f'group {group} counts {groups.counts[group]} regions, '
                     f'the scans have {total[group]}')


def _check_group_ids(checked: Checked, path: str) -> Iterator[Complaint]:
    reader = RegionGroups(checked.beside(checked.folder), checked.backend_args)
    try:
        count = len(reader.groups().counts)
    except FileNotFoundError:
        yield path, f'there is no {GROUPS_FILE} beside it'
        return
    scan = PurePosixPath(path).stem
    frames = {frame: reader.read(scan, frame) for frame in reader.frames(scan)}
    for frame, ids in frames.items():
        if len(ids) and not 0 <= ids.min() <= ids.max() < count:
            yield path, f'frame {frame} has a group that is none of {count}'
    rows = {frame: len(ids) for frame, ids in frames.items()}
    yield from _rows_fit(checked, path, scan, rows)


def check_scan_regions(checked: Checked) -> Iterator[Complaint]:
    """Region ids that belong to the scan's points."""
    for path, content in checked.files.items():
        scan = PurePosixPath(path).stem
        points = checked.beside('points', f'{scan}.bin')
        if not exists(points, checked.backend_args):
            yield path, f'points/{scan}.bin, whose regions these are, is ' \
                'missing'
            continue
        values = np.frombuffer(
            read_bytes(points, checked.backend_args), np.uint8)
        size = len(values) // _POINT_BYTES * _POINT_BYTES
        xyz = values[:size].view('<f4').reshape(-1, 6)[:, :3]
        try:
            decode_region_file(content, checked.name(path), xyz)
        except _UNUSABLE as error:
            yield path, str(error)
        maps = _id_maps(checked)
        known = maps.scan_checksum(scan) if maps else ''
        yield from _check_inputs(checked, path, scan, id_maps=known)


def check_frame_regions(checked: Checked) -> Iterator[Complaint]:
    """As many ids as the record tells."""
    for path, content in checked.files.items():
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                count = len(arrays['region_ids'])
        except (EOFError, KeyError, ValueError, OSError) as error:
            yield path, f'it is not a readable file of region ids ({error})'
            continue
        recorded = checked.item.fields.get('points') if checked.item else None
        if recorded is not None and recorded != count:
            yield path, f'it has {count} ids, its record says {recorded}'
        maps, scan = _id_maps(checked), checked.record.scan
        frame = PurePosixPath(path).stem
        known = maps.checksum(scan, frame) if maps else ''
        yield from _check_inputs(checked, path, frame, id_map=known)


def check_points(checked: Checked) -> Iterator[Complaint]:
    """Complete rows of finite coordinates and colors."""
    for path, content in checked.files.items():
        if not content or len(content) % _POINT_BYTES:
            yield path, (f'{len(content)} bytes do not make complete points '
                         'of 6 values')
        elif not np.isfinite(np.frombuffer(content, '<f4')).all():
            yield path, 'a coordinate or color is not finite'
        scan = PurePosixPath(path).stem
        if checked.item and 'frames' in checked.item.inputs:
            with suppress(FrameError):  # incomplete, as its own store tells
                frames = checked.images().fingerprint(scan)
                yield from _check_inputs(checked, path, scan, frames=frames)


def check_masks(checked: Checked) -> Iterator[Complaint]:
    """One id for each point."""
    for path, content in checked.files.items():
        points = size_of(checked.beside('points', path), checked.backend_args)
        if points // _POINT_BYTES != len(content) / _MASK_BYTES:
            yield path, (f'it is of {len(content) / _MASK_BYTES:g} points, '
                         f'points/{path} has {max(points, 0) // _POINT_BYTES}')


def check_frame_instances(checked: Checked) -> Iterator[Complaint]:
    """True ids, uint16, as large as the depth image of the frame."""
    for path, content in checked.files.items():
        depth = checked.beside('posed_images', path)
        try:
            ids = decode_image(content, checked.name(path))
            if ids.dtype != np.uint16:
                yield path, f'it is {ids.dtype}, not uint16'
            size = _size_in_header(depth, checked.backend_args)
            if size is not None and size != ids.shape:
                yield path, 'it is not as large as the depth image'
        except _UNUSABLE as error:
            yield path, str(error)


def check_json(checked: Checked) -> Iterator[Complaint]:
    """JSON that can be read."""
    for path, content in checked.files.items():
        try:
            json.loads(content)
        except ValueError as error:
            yield path, f'it is not valid JSON ({error})'


# By the folder of the files, or by the kind of a store with its own folder.
CONTENT_CHECKS: Dict[str, ContentCheck] = dict(
    posed_images=check_posed_images,
    region_maps=check_region_maps,
    region_features=check_region_features,
    region_groups=check_region_groups,
    frame_pairs=check_frame_pairs,
    frame_regions=check_frame_regions,
    regions=check_scan_regions,
    scan_regions=check_scan_regions,
    points=check_points,
    instance_mask=check_masks,
    semantic_mask=check_masks,
    frame_instances=check_frame_instances,
    infos=check_json,
    scenes=check_json)
