"""Reading scans from files of any of ``ENDINGS``.

All give arrays under the same names (see ``FIELDS``), from which
:func:`read_scan` makes a :class:`Scan` in meters with z up.

Shapes: N points, R boxes.
"""
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
from plyfile import PlyParseError

from ....store.errors import UserError
from ....store.foreign_files import foreign_kind
from ....store.npz import read_npz
from ....store.ply_comments import CLASS_INDEX, COLORS_SHOW, EDGES
from .box_readers import BOXES_ENDING, read_boxes
from .class_ids import ids_of_classes
from .colors import CHANNEL_NAMES, find_colors
from .file_content import FileContent
from .frames import (ALIGNMENT_ENDING, check_steps, is_aligned,
                     read_axis_align, to_meters_z_up)
from .las import read_las
from .meshes import read_mesh
from .pcd import read_pcd
from .ply_text import read_ply
from .point_fields import (brief_names, check_lengths, read_colors, read_ids,
                           read_regions, read_semantic, without_invalid_points)
from .scan import MAX_NYU40_ID, Scan, ScanError, files_beside, scan_name
from .source_files import brief, hint_of

# What an array or a vertex property may be called in the files.
FIELDS: Dict[str, Tuple[str, ...]] = {
    'xyz': ('xyz_aligned', 'xyz', 'points'),
    'rgb': ('rgb', 'color', 'colors', 'colour', 'colours', 'vertex_colors'),
    'semantic': ('sem_nyu40', 'semantic', 'semantic_id', 'label'),
    'instance': ('instance', 'instance_id'),
    'region': ('region', 'region_id', 'regions', 'sam3d_ensemble_group'),
}

# What concerns the scan as a whole.
_SCAN_FIELDS = ('bbox', 'axis_align_matrix')

# What only says what the points are.
_LABELS = ('semantic', 'instance', 'bbox')

# SAM3D's groups count from 0, and every point is in one; a region file's
# start at 1, with 0 for points in none.
_COUNTED_FROM_ZERO = ('sam3d_ensemble_group', 'sam3d_normal_vector_group')

_UNREADABLE = (ValueError, KeyError, EOFError, OSError, OverflowError,
               PlyParseError)
# What tools/predict.py wrote before it said what the labels are.
_OLD_PREDICTION = {'x', 'y', 'z', 'red', 'green', 'blue', 'label'}

# Comments of the files that we write.
_SAYS = re.compile(f'^({EDGES}|{COLORS_SHOW}) (\\w+)$', re.MULTILINE)
# Corners of faces, which are not missed, and comments that somebody would.
_INDICES = ('vertex_indices', 'vertex_index')
_SAYS_OFFSET = re.compile(r'(offset|shift|origin|translat).*\d', re.IGNORECASE)

# Of a .bin of ScanNet: x, y, z in meters and red, green, blue.
_BIN_COLUMNS = 6


@dataclass(frozen=True)
class ReadOptions:
    """Options of the readers.

    Args:
        scale (float, optional): Meters per unit of the files; by default
            what a file says, else 1.
        up (str, optional): Axis of the files that points up: x, y or z, with
            a minus for its opposite; by default that of the format, else z.
        region_key (str, optional): Array or vertex property with the region
            ids; by default the first of ``FIELDS['region']`` found.
        without_color (bool): Whether colors that cannot be read become
            mid-gray, as those of scans without any do.
        drop_invalid (bool): Whether points that are not finite are left out.
        without_labels (bool): Whether classes, instances and boxes are not
            read, so that they may be of any kind.
    """
    scale: Optional[float] = None
    up: Optional[str] = None
    region_key: Optional[str] = None
    without_color: bool = False
    drop_invalid: bool = False
    without_labels: bool = False


def list_scans(source: Path) -> Dict[str, Path]:
    """Files of the scans of a folder, by the names they get, sorted.

    The name is the file's without its ending, and without ``_labelled`` or
    ``_vh_clean_2`` at its end. ScanError when there is no such folder, no scan
    in it, two files of one name, or an alignment that belongs to no scan.
    """
    if not source.is_dir():
        raise ScanError(f'{source} is not a folder; give the folder of the '
                        'scans')
    scans: Dict[str, Path] = {}
    for path in sorted(source.iterdir()):
        if path.suffix.lower() not in ENDINGS or path.name[0] == '.':
            continue
        name = scan_name(path)
        if name in scans:
            raise ScanError(f'{path} and {scans[name]} would both become '
                            f'scan {name}; rename or move one of them')
        scans[name] = path
    if not scans:
        raise ScanError(f'{source} holds no {", ".join(ENDINGS)} file; give '
                        'the folder of the scans')
    _check_beside(source, scans, ALIGNMENT_ENDING)
    return dict(sorted(scans.items()))


def find_scans(source: Path) -> Dict[str, Path]:
    """:func:`list_scans`, with a ScanError for boxes that belong to none."""
    scans = list_scans(source)
    _check_beside(source, scans, BOXES_ENDING)
    return scans


def _check_beside(source: Path, scans: Dict[str, Path], ending: str) -> None:
    """ScanError for a file with an ending that belongs to no scan."""
    used = {
        file
        for path in scans.values()
        for file in files_beside(path, ending)
    }
    for path in sorted(source.glob(f'*{ending}')):
        if path not in used and path.name[0] != '.':
            raise ScanError(f'{path} belongs to no scan; name it like its '
                            'scan, or move it away')


def read_scan(path: Path, options: ReadOptions) -> Scan:
    """Read one scan and the files beside it, in meters with z up.

    Boxes may be beside it as ``<file or scan>.boxes.json``, an alignment as
    ``<file or scan>_axis_align.txt``. ScanError when the file is damaged or
    its arrays do not fit.
    """
    content = _read_arrays(path, options)
    arrays, notes = content.arrays, content.notes
    scale = next((x for x in (options.scale, content.scale) if x is not None),
                 1.)
    up = options.up or content.up or 'z'
    check_lengths(arrays, path)
    check_steps(arrays['xyz'], scale, path)
    needed = ('xyz', ) if options.without_color else ('xyz', 'rgb')
    arrays = without_invalid_points(arrays, path, options.drop_invalid, notes,
                                    needed)
    boxes, box_classes = ((None, None) if options.without_labels else
                          read_boxes(path, arrays, scale, up))
    rgb = read_colors(arrays, path, options.without_color, notes,
                      content.unused, content.color_problem)
    scan = Scan(
        name=scan_name(path),
        path=path,
        xyz=np.asarray(arrays['xyz'], dtype=np.float64),
        rgb=rgb,
        axis_align=read_axis_align(path, arrays, notes),
        semantic=read_semantic(arrays, path, notes),
        instance=read_ids(arrays, 'instance', path, notes),
        regions=read_regions(arrays, path, notes),
        boxes=boxes,
        box_classes=box_classes,
        notes=notes,
        is_aligned=is_aligned(path, arrays))
    return to_meters_z_up(scan, scale, up)


def _read_arrays(path: Path, options: ReadOptions) -> FileContent:
    """The known arrays of a file by their names in ``FIELDS``, and others."""
    skipped = _LABELS if options.without_labels else ()
    fields = {k: names for k, names in FIELDS.items() if k not in skipped}
    of_scan = {key for key in _SCAN_FIELDS if key not in skipped}
    if options.region_key is not None:
        fields['region'] = (options.region_key, )
    content = _read_file(path, {*sum(fields.values(), ()), *of_scan})
    found, notes = content.arrays, content.notes
    axes = [
        next((key for key in found if key.lower() == axis), '')
        for axis in 'xyz'
    ]
    if all(axes):
        found['xyz'] = np.stack([found.pop(key) for key in axes], axis=1)
    _join_colors(found, fields['rgb'], notes)
    arrays = {key: found.pop(key) for key in _SCAN_FIELDS if key in found}
    for field, names in fields.items():
        name = next((name for name in names if name in found), None)
        if name is None:
            continue
        arrays[field] = _check_numeric(found.pop(name), name, path)
        if name in _COUNTED_FROM_ZERO:
            arrays[field] = arrays[field].astype(np.int64) + 1
        if name == 'xyz_aligned':
            arrays['axis_align_matrix'] = np.eye(4)
    others = [*found, *content.unused]
    if others:
        notes.append(f'not used: {brief_names(others)}')
    if 'xyz' not in arrays:
        held = f' (it has {brief_names(others)})' if others else ''
        raise ScanError(f'{path} has no coordinates{held}; it needs an array '
                        f'named {" or ".join(FIELDS["xyz"])}, or x, y, z')
    return replace(content, arrays=_split_points(arrays), unused=others)


def _read_file(path: Path, wanted: Set[str]) -> FileContent:
    """What the reader of a file finds; of an .npz, the wanted arrays."""
    if path.is_symlink() and not path.exists():
        raise ScanError(f'{path} is a link to {os.readlink(path)}, which is '
                        'missing; copy the file or remove the link')
    ending = path.suffix.lower()
    try:
        if ending == '.npz':
            return FileContent(
                *read_npz(path, {*wanted, *'xyzXYZ', *sum(CHANNEL_NAMES, ())}))
        return _READERS[ending](path)
    except _UNREADABLE as error:
        raise ScanError(f'{path} cannot be read ({brief(error)})'
                        f'{hint_of(error)}') from error


def _join_colors(found: Dict[str, np.ndarray], names: Sequence[str],
                 notes: List[str]) -> None:
    """Make one array of colors that are in several, in place."""
    if any(name in found and found[name].ndim > 1 for name in names):
        return
    rgb, used = find_colors({
        name: values
        for name, values in found.items()
        if values.ndim == 1 and values.dtype.kind in 'iuf'
    })
    if rgb is None:
        return
    for name in used:
        del found[name]
    found['rgb'] = rgb
    if tuple(used) != CHANNEL_NAMES[0]:
        notes.append(f'colors from {", ".join(used)}')


def _read_ply(path: Path) -> FileContent:
    """Scalar properties of the vertices, and x y z as one array."""
    ply = read_ply(path)
    if 'vertex' not in ply:
        raise UserError('it has no element "vertex"')
    vertices = ply['vertex'].data
    says = dict(_SAYS.findall('\n'.join(ply.comments)))
    vertices = vertices[:len(vertices) - int(says.get(EDGES, 0))]
    arrays = {
        name: np.array(vertices[name])
        for name in vertices.dtype.names if vertices[name].dtype.kind != 'O'
    }
    if CLASS_INDEX in arrays:
        arrays['semantic'] = ids_of_classes(
            arrays.pop(CLASS_INDEX), ply.comments)
    elif ({*arrays} == _OLD_PREDICTION and arrays['label'].dtype == np.uint32
          and arrays['label'].max(initial=0) <= MAX_NYU40_ID):
        raise UserError(
            'its "label" may be class indices of a prediction or NYU40 ids; '
            'predict again, or rename the property to "semantic" for NYU40')
    is_ours = CLASS_INDEX in vertices.dtype.names
    shown = says.get(COLORS_SHOW, 'classes' if is_ours else '')
    if shown:  # no colors of the room
        for name in CHANNEL_NAMES[0]:
            arrays.pop(name, None)
    unused = [f'colors of {shown}'] * bool(shown)
    unused += [
        name for name in vertices.dtype.names
        if vertices[name].dtype.kind == 'O'
    ]
    unused += [
        f'{element.name}.{prop.name}' for element in ply.elements
        for prop in element.properties
        if element.name != 'vertex' and prop.name not in _INDICES
    ]
    unused += [
        text for text in (*ply.comments, *ply.obj_info)
        if _SAYS_OFFSET.search(text)
    ]
    return FileContent(arrays, unused)


def _read_bin(path: Path) -> FileContent:
    """Points as mmdet3d's ScanNet has them: six float32, meters, z up.

    ValueError when the size or the colors are those of another kind of file,
    such as KITTI's four columns.
    """
    content = path.read_bytes()
    if not content or len(content) % (4 * _BIN_COLUMNS):
        kind = foreign_kind(content[:1000])
        raise UserError(f'it is {kind}' if kind else
                        f'its {len(content)} bytes are not x, y, z, red, '
                        'green, blue as float32')
    points = np.frombuffer(content, '<f4').reshape(-1, _BIN_COLUMNS)
    rgb = points[:, 3:]
    if not ((rgb >= 0) & (rgb <= 255)).all():
        raise UserError('its columns 4 to 6 are not colors from 0 to 255, as '
                        'in the points/ of ScanNet')
    return FileContent(dict(xyz=points[:, :3], rgb=rgb))


def _split_points(arrays: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Take colors out of ``points`` of six columns."""
    points = arrays['xyz'] = np.atleast_1d(arrays['xyz'])
    if points.ndim == 2 and points.shape[1] == 6:
        arrays['xyz'] = points[:, :3]
        arrays.setdefault('rgb', points[:, 3:])
    return arrays


def _check_numeric(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    if array.dtype.kind not in 'iufb':
        raise ScanError(f'{path}: {name} is not numeric but {array.dtype}; '
                        'store numbers')
    return array


_READERS: Dict[str, Callable[[Path], FileContent]] = {
    '.ply': _read_ply,
    '.pcd': read_pcd,
    '.las': read_las,
    '.laz': read_las,
    '.glb': read_mesh,
    '.obj': read_mesh,
    '.bin': _read_bin,
}
#: Endings of the files that can be read.
ENDINGS = ('.npz', *_READERS)
