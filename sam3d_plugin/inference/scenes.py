"""Conversion of a scan's file or arrays to a data set of one scene.

A model then reads the scan through its own test pipeline, the one that it
was evaluated with, whatever that does.

Shapes: N points.
"""
import os
import pickle
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Optional, Union

import numpy as np
from numpy.typing import ArrayLike

from ..preparation.sources.scans import infos
from ..preparation.sources.scans.frames import (check_rounding, check_units,
                                                check_up_axis, note_size,
                                                to_meters_z_up)
from ..preparation.sources.scans.point_fields import read_colors, read_regions
from ..preparation.sources.scans.scan import Scan, ScanError
from ..preparation.sources.scans.scan_readers import (ENDINGS, ReadOptions,
                                                      read_scan)
from ..preparation.sources.scans.source_files import brief
from ..store import atomic_write
from .file_frame import FileFrame

INFOS = 'infos.pkl'
_MID_GREY = 128


@dataclass(frozen=True)
class SceneOptions:
    """How a ``Predictor`` reads a scan.

    Args:
        scale (Optional[float]): Meters per unit. None takes and checks what
            the file says, else meters.
        up (Optional[str]): Axis that points up, one of ``UP_AXES``: 'z',
            '-z', 'y', '-y', 'x', '-x'. None takes and checks that of the
            format, else z.
        region_key (Optional[str]): Array or vertex property of the region
            ids; None takes the usual names.
        drop_invalid (bool): Whether points that are not finite are left out.

    Examples:
        >>> from sam3d_plugin import Predictor, SceneOptions
        >>> millimeters = SceneOptions(scale=0.001, up='z')
        >>> found = Predictor()('room_mm.ply', options=millimeters)
        >>> found.frame.scale
        0.001
    """
    scale: Optional[float] = None
    up: Optional[str] = None
    region_key: Optional[str] = None
    drop_invalid: bool = False


DEFAULT_SCENE = SceneOptions()
# Options of the tools in errors and notes, with their values.
_TOOL_OPTION = re.compile(r'--(scale|up|region-key|drop-invalid)'
                          r'(?:[ =](-?[\d.]*(?:e-?)?\d+|-?[xyz]\b|X))?')


def in_python(text: str) -> str:
    """Name the arguments of :class:`SceneOptions` for options of tools.

    Args:
        text (str): An error or note of a scan.

    Returns:
        str: The same with ``SceneOptions(up='y')`` for ``--up=y``.
    """

    def argument(option: 're.Match') -> str:
        name, value = option[1].replace('-', '_'), option[2] or '...'
        if name == 'drop_invalid':
            value = 'True'
        elif name == 'up' and option[2]:
            value = repr(value)
        return f'SceneOptions({name}={value})'

    return _TOOL_OPTION.sub(argument, text)


def read_scene(path: Union[str, Path],
               options: SceneOptions = DEFAULT_SCENE) -> Scan:
    """Read a scan in meters with z up and check its units and axes.

    Files are those of tools/preparation/import_scans.py; labels are unused. A
    file that is damaged, of another kind or does not look like a room is a
    ``ScanError``.

    Raises FileNotFoundError when there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        raise ScanError(f'scan {path} is a folder; give one of its files')
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(f'scan {path} is a link to {os.readlink(path)}'
                                ', which is missing')
    if not path.is_file():
        raise FileNotFoundError(f'scan {path} is missing; check the path')
    if path.suffix.lower() not in ENDINGS:
        raise ScanError(f'{path} is not a {", ".join(ENDINGS)} file; '
                        'convert it, in Python for example with '
                        'numpy.savez(FILE, xyz=..., rgb=...)')
    scan = read_scan(
        path,
        ReadOptions(
            scale=options.scale,
            up=options.up,
            region_key=options.region_key,
            without_color=True,
            drop_invalid=options.drop_invalid,
            without_labels=True))
    _check_frame(scan, options)
    frame = FileFrame.of(scan)
    if not frame.is_default:
        scan.notes.append(f'read in units of {frame.scale:g} m with {frame.up}'
                          ' up; boxes and points are written so, too')
    if options.region_key and scan.regions is None:
        raise ScanError(f'{path} has no array or vertex property '
                        f'{options.region_key!r}, which --region-key names')
    return scan


def scene_of_arrays(xyz: ArrayLike,
                    rgb: Optional[ArrayLike] = None,
                    region_ids: Optional[ArrayLike] = None,
                    name: str = 'scan',
                    options: SceneOptions = DEFAULT_SCENE) -> Scan:
    """Take a scan from arrays, or from lists or tensors of the same form.

    xyz (N, 3) in meters with z up, rgb (N, 3) from 0 to 255, or floats from 0
    to 1, region_ids (N,), 0 = in no region. What does not fit or does not look
    like a room is a ``ScanError``.
    """
    points = _as_array(xyz, 'xyz', name)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ScanError(f'{name}: xyz must be (N, 3), got {points.shape}')
    arrays = dict(xyz=points.astype(np.float64))
    for field, argument, values, shape in (('rgb', 'rgb', rgb, points.shape),
                                           ('region', 'region_ids', region_ids,
                                            points.shape[:1])):
        if values is None:
            continue
        arrays[field] = _as_array(values, argument, name)
        if arrays[field].shape != shape:
            raise ScanError(f'{name}: {argument} must be {shape}, got '
                            f'{arrays[field].shape}')
    for field, values in arrays.items():
        if field != 'rgb' and not np.isfinite(values).all():
            raise ScanError(f'{name}: a number of {field} is not finite; '
                            'leave such points out')
    path = Path(name)
    notes: List[str] = []
    scan = Scan(
        name,
        path,
        arrays['xyz'],
        read_colors(arrays, path, True, notes),
        np.eye(4),
        regions=read_regions(arrays, path, notes),
        notes=notes)
    scan = to_meters_z_up(scan,
                          1.0 if options.scale is None else options.scale,
                          options.up or 'z')
    _check_frame(scan, options)
    return scan


def _as_array(values: ArrayLike, argument: str, name: str) -> np.ndarray:
    """Convert numbers to an array, with an error for anything else."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ScanError(f'{name}: {argument} is a {type(values).__name__} and '
                        f'not an array of numbers ({brief(error)}); give what '
                        'numpy.asarray takes') from error
    if array.dtype.kind not in 'iufb':
        raise ScanError(f'{name}: {argument} is a {type(values).__name__} and '
                        f'not an array of numbers ({array.dtype}); give what '
                        'numpy.asarray takes')
    return array


def _check_frame(scan: Scan, options: SceneOptions) -> None:
    if options.scale is None:
        check_units(scan)
    else:
        note_size(scan)
    check_rounding(scan)
    if options.up is None:
        check_up_axis(scan)


def colors_of(scan: Scan) -> Optional[np.ndarray]:
    """Return (N, 3) uint8 colors, or None where the scan has none."""
    if (scan.rgb == _MID_GREY).all():
        return None
    return scan.rgb.clip(0, 255).astype(np.uint8)


def write_scene(scan: Scan, root: Path) -> None:
    """Write a data set of one scene without annotations, with ``INFOS``."""
    nothing = np.zeros(len(scan.xyz), np.int64)
    bare = replace(
        scan,
        semantic=nothing,
        instance=nothing,
        boxes=np.zeros((0, 6)),
        box_classes=np.zeros(0, np.int64))
    stored = infos.store_scan(bare, root)
    with atomic_write(root / INFOS) as file:
        pickle.dump(
            dict(metainfo=dict(info_version='1.1'), data_list=[stored.info]),
            file)
