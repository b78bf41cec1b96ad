"""From a scan's file or arrays to a data set of one scene.

A model then reads the scan through its own test pipeline, the one that it
was evaluated with, whatever that does.

Axes: N points.
"""
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Union

import numpy as np

from ..preparation.scans import infos
from ..preparation.scans.frames import check_units, check_up_axis
from ..preparation.scans.scan import Scan, ScanError
from ..preparation.scans.scan_readers import ReadOptions, read_scan
from ..store import atomic_write, check_region_ids

INFOS = 'infos.pkl'
_ENDINGS = ('.npz', '.ply')
_MID_GREY = 128


@dataclass(frozen=True)
class SceneOptions:
    """How a scan's file is to be understood.

    Attributes:
        scale (Optional[float]): Metres per unit; None checks that the units
            are metres.
        up (Optional[str]): Axis that points up; None checks that it is z.
        region_key (Optional[str]): Array or vertex property of the region
            ids; by default the usual names.
        drop_invalid (bool): Whether points that are not finite are left out.
    """
    scale: Optional[float] = None
    up: Optional[str] = None
    region_key: Optional[str] = None
    drop_invalid: bool = False


DEFAULT_SCENE = SceneOptions()


def read_scene(path: Union[str, Path],
               options: SceneOptions = DEFAULT_SCENE) -> Scan:
    """Read a scan and check its units and axes.

    Args:
        path (Union[str, Path]): ``.npz`` or ``.ply`` file, as for
            tools/preparation/import_scans.py. Labels are not looked at.
        options (SceneOptions): What the file does not say.

    Returns:
        Scan: In metres with z up.

    Raises:
        FileNotFoundError: When there is no such file.
        ScanError: When the file is damaged, of another kind, or does not
            look like a room in metres with z up.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'scan {path} is missing; check the path')
    if path.suffix.lower() not in _ENDINGS:
        raise ScanError(f'{path} is no {" or ".join(_ENDINGS)} file; convert '
                        'it, in Python for example with '
                        'numpy.savez(FILE, xyz=..., rgb=...)')
    scan = read_scan(
        path,
        ReadOptions(
            scale=1.0 if options.scale is None else options.scale,
            up=options.up or 'z',
            region_key=options.region_key,
            without_color=True,
            drop_invalid=options.drop_invalid))
    _check_frame(scan, options)
    if options.region_key and scan.regions is None:
        raise ScanError(f'{path} has no array or vertex property '
                        f'{options.region_key!r}, which --region-key names')
    return scan


def scene_of_arrays(xyz: np.ndarray,
                    rgb: Optional[np.ndarray] = None,
                    region_ids: Optional[np.ndarray] = None,
                    name: str = 'scan') -> Scan:
    """Take a scan from arrays.

    Args:
        xyz (np.ndarray): (N, 3) metres, z up.
        rgb (Optional[np.ndarray]): (N, 3) colours, 0 to 255.
        region_ids (Optional[np.ndarray]): (N,) ids, 0 = in no region.
        name (str): Name of the scan.

    Returns:
        Scan: The same.

    Raises:
        ScanError: When the arrays do not fit, a coordinate is not finite,
            or they do not look like a room in metres with z up.
    """
    xyz = np.asarray(xyz, np.float64)
    if xyz.ndim != 2 or xyz.shape[1] != 3 or not len(xyz):
        raise ScanError(f'{name}: xyz must be (N, 3), got {xyz.shape}')
    if not np.isfinite(xyz).all():
        raise ScanError(f'{name}: a coordinate is not finite; leave such '
                        'points out')
    has_color = rgb is not None
    rgb = np.full(xyz.shape, _MID_GREY) if rgb is None else np.asarray(rgb)
    if rgb.shape != xyz.shape:
        raise ScanError(f'{name}: rgb must be {xyz.shape}, got {rgb.shape}')
    if region_ids is not None:
        if np.shape(region_ids) != xyz.shape[:1]:
            raise ScanError(f'{name}: region_ids must be {xyz.shape[:1]}, got '
                            f'{np.shape(region_ids)}')
        region_ids = check_region_ids(np.asarray(region_ids), name)
    notes = [] if has_color else ['no colours: stored mid-grey']
    scan = Scan(
        name,
        Path(name),
        xyz,
        rgb.astype(np.float32),
        np.eye(4),
        regions=region_ids,
        notes=notes)
    _check_frame(scan, DEFAULT_SCENE)
    return scan


def _check_frame(scan: Scan, options: SceneOptions) -> None:
    if options.scale is None:
        check_units(scan)
    if options.up is None:
        check_up_axis(scan)


def colors_of(scan: Scan) -> Optional[np.ndarray]:
    """Return (N, 3) uint8 colours, or None where the scan has none."""
    if (scan.rgb == _MID_GREY).all():
        return None
    return scan.rgb.clip(0, 255).astype(np.uint8)


def write_scene(scan: Scan, root: Path) -> None:
    """Write a data set of one scene without annotations.

    Args:
        scan (Scan): The scan.
        root (Path): Folder, which then holds ``INFOS`` and what it names.
    """
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
