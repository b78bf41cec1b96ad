"""From a folder of scans to a data set that mmdet3d reads as ScanNet."""
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np
from rich.console import Console
from rich.progress import track

from ....store.files import check_not_input
from .class_ids import doubt_class_ids
from .frames import (check_rounding, check_units, check_up_axis,
                     move_near_origin, note_size)
from .infos import FOLDERS, StoredScan, info_path, store_scan, write_split
from .instances import complete_labels
from .scan import CLASS_NAMES, Scan, ScanError
from .scan_readers import ReadOptions, find_scans, read_scan
from .splits import Splits, make_splits

# What other steps make of frames; an import touches none of it.
_BESIDE = ('posed_images', 'region_maps', 'region_features', 'region_groups',
           'frame_pairs')


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import.

    Args:
        source (Path): Folder of the scans.
        out (Path): Folder of the data set.
        splits (sequence): Lists of scans, by split.
        scale (float, optional): Meters per unit; None takes what the file
            says, else meters, and checks that a room has this size.
        up (str, optional): Axis that points up; None takes that of the
            format, else z, and checks it.
        region_key (str, optional): See :class:`ReadOptions`.
        without_color (bool): See :class:`ReadOptions`.
        drop_invalid (bool): See :class:`ReadOptions`.
        overwrite (bool): Whether files in ``out`` may be replaced.
    """
    source: Path
    out: Path
    splits: Sequence[Splits] = ()
    scale: Optional[float] = None
    up: Optional[str] = None
    region_key: Optional[str] = None
    without_color: bool = False
    drop_invalid: bool = False
    overwrite: bool = False


def import_scans(options: ImportOptions,
                 console: Optional[Console] = None) -> Dict[str, StoredScan]:
    """Import a folder of scans; returns what was written of each, by name.

    The infos are written last, so that an interrupted import leaves none and
    can be started again. The console also shows the progress if it is a
    terminal and CI is not set.

    Raises ScanError when anything is wrong with a scan, a list or a folder.
    Raises UserError when a scan would be written over its own file.
    """
    console = console or Console(soft_wrap=True, markup=False, highlight=False)
    scans = find_scans(options.source)
    notes: List[str] = []
    splits = make_splits(scans, options.splits, notes)
    for note in notes:
        console.print(note)
    used = {name for members in splits.values() for name in members}
    for name in sorted(used):
        check_not_input(options.out / 'points' / f'{name}.bin', [scans[name]])
    check_output(options.out, options.overwrite)
    for split in splits:
        info_path(options.out, split).unlink(missing_ok=True)
    stored: Dict[str, StoredScan] = {}
    for name in track([name for name in scans if name in used],
                      description='Importing',
                      console=console,
                      transient=True,
                      disable=not console.is_terminal or 'CI' in os.environ):
        scan = prepare_scan(scans[name], options)
        stored[name] = store_scan(scan, options.out)
        console.print(summarize(scan))
    check_regions(list(stored.values()), options.region_key)
    infos = {
        split: write_split(options.out, split, [stored[n] for n in members])
        for split, members in splits.items()
    }
    for split, path in infos.items():
        empty = sum(not stored[n].info['instances'] for n in splits[split])
        console.print(f'{path}: {len(splits[split])} scan(s)' +
                      f', {empty} of them without boxes' * bool(empty))
    return stored


def prepare_scan(path: Path, options: ImportOptions) -> Scan:
    """Read a scan, check its frame, and complete its masks and boxes."""
    scan = read_scan(
        path,
        ReadOptions(
            scale=options.scale,
            up=options.up,
            region_key=options.region_key,
            without_color=options.without_color,
            drop_invalid=options.drop_invalid))
    if options.scale is None:
        check_units(scan)
    else:
        note_size(scan)
    check_rounding(scan)
    if options.up is None:
        check_up_axis(scan)
    doubt_class_ids(scan)
    return complete_labels(move_near_origin(scan))


def check_regions(scans: Sequence[StoredScan],
                  region_key: Optional[str]) -> None:
    """ScanError when no scan has the ``--region-key`` that was asked for."""
    if region_key and not any('pts_region_path' in s.info for s in scans):
        raise ScanError(f'no scan has an array or vertex property '
                        f'{region_key!r}, which --region-key names')


def check_output(out: Path, overwrite: bool) -> None:
    """Create the output folder; ScanError when it holds other things.

    What an interrupted import left (arrays, no infos) is not an obstacle.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        others = sorted({entry.name
                         for entry in out.iterdir()} - {*FOLDERS, *_BESIDE})
    except OSError as error:
        raise ScanError(f'{out} cannot be made ({error.strerror}); choose '
                        'another --out') from error
    if not os.access(out, os.W_OK):
        raise ScanError(f'{out} is read-only; choose another --out')
    if others and not overwrite:
        raise ScanError(
            f'{out} already holds {", ".join(others[:3])}; choose another '
            '--out, or add --overwrite to replace what has the same name')


def next_command(scans: Sequence[StoredScan], out: str) -> str:
    """What to do with imported scans, as a command.

    Training where there is something to learn, with tokens of regions where
    every scan has them.
    """
    has_boxes = any(scan.info['instances'] for scan in scans)
    if not has_boxes and not any(scan.class_counts.any() for scan in scans):
        first = shlex.quote(scans[0].info['lidar_points']['lidar_path'])
        return (f'python tools/predict.py {shlex.quote(out)}/points/{first} '
                '(no scan has boxes or labels to train on)')
    model = 'groupfree3d' if has_boxes else 'segmentor'
    has_regions = all('pts_region_path' in scan.info for scan in scans)
    tokens = '' if has_regions else '_knn'
    option = shlex.quote(f'data_root={out}/')
    return (f'python tools/train.py configs/sam3d/{model}_scannet_mini'
            f'{tokens}.py --cfg-options {option}')


def summarize(scan: Scan) -> str:
    """Report on a scan, in a few lines."""
    assert scan.boxes is not None and scan.box_classes is not None
    extents = ' x '.join(f'{e:.2f}' for e in np.ptp(scan.xyz, axis=0))
    counts = zip(*np.unique(scan.box_classes, return_counts=True))
    boxes = ', '.join(f'{n} {CLASS_NAMES[number]}' for number, n in counts)
    regions = 0 if scan.regions is None else len(
        np.unique(scan.regions[scan.regions > 0]))
    lines = [
        f'{scan.name}: {len(scan.xyz):,} points, {extents} m',
        f'{len(scan.boxes)} boxes' + (f': {boxes}' if boxes else ''),
        f'{regions} regions' if regions else 'no regions', *scan.notes
    ]
    return '\n  '.join(lines)
