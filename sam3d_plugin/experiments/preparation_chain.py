"""All of preparation on real recordings, and what it writes."""
import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np

from ..store import provenance
from ..store.manifest import Store
from . import steps
from .records import write_record

# Per frame, 640x480: a mask file of three uint8 channels and one fp32 grid of
# 768 features, 14 pixels apart.
REFERENCE_BYTES = 1.97e6
# Of each recording its folder, and the tools that import it.
IMPORTS: Dict[str, Dict[str, str]] = {
    # Frames of two cameras and no scan: import them and fuse one.
    '7scenes': {
        'folder':
        '7scenes_redkitchen',
        'import':
        'import_rgbd_folder --source {source}/frames --out {data} '
        '--scan redkitchen --layout 7scenes --depth-intrinsics '
        '{source}/camera-intrinsics.txt --color-intrinsics '
        '526.9,526.9,322.9,238.3 --depth-to-color=-0.032,-0.0001,0 '
        '--down {source}/gravity-direction.txt',
        'fuse':
        'fuse_frames --data {data}'
    },
    # A scan with four frames, both in raw coordinates.
    'scannet': {
        'folder':
        'scannet_scene0000',
        'import':
        'import_rgbd_folder --source {source}/frames --out {data} '
        '--scan scene0000_00 --layout scannet --color-intrinsics '
        '{source}/intrinsic_depth.txt',
        'import_scans':
        'import_scans --source {raw} --out {data} --overwrite'
    },
    # Three frames of the validation set.
    'sunrgbd': {
        'folder': 'sunrgbd',
        'import': 'prepare_sunrgbd --source {source} --out {data} --partial'
    },
    # A part of a room; superpoints are its regions.
    's3dis': {
        'folder': 's3dis_tile',
        'import': 'prepare_s3dis --source {raw} --out {data} --partial'
    },
}
FRAME_STEPS = {
    'regions': 'generate_regions --data {data}',
    'features': 'extract_features --data {data} --encoder handcrafted',
    'groups': 'build_groups --data {data} --groups {groups}',
    'lift_frames': 'lift_regions --data {data} --frames',
    'lift': 'lift_regions --data {data}',
}
# 4 to 8 s a frame on one core, and without weights only a cost.
DINOV2 = ('extract_features --data {data} --encoder timm --out '
          '{data}/region_features_dinov2 -O random_weights_seed=0')
CHECKS = {
    'verify': 'verify --data {data}',
    'inspect': 'inspect_scans --data {data} --out {pictures}',
}
# Steps that write what they did.
REPORTING = {
    'import', 'fuse', 'regions', 'features', 'features_dinov2', 'lift_frames',
    'lift'
}


def run(args: argparse.Namespace) -> None:
    """Run the chain and write the results."""
    results = {
        name: run_recording(name, args)
        for name in args.only or IMPORTS
    }
    write_record(
        Path(args.json),
        dict(
            machine=provenance.machine(),
            reference_bytes=REFERENCE_BYTES,
            recordings=results,
            synthrooms=make_synthrooms(args.data)))


def run_recording(name: str, args: argparse.Namespace) -> Dict[str, Any]:
    """Run the chain on one recording, and measure it."""
    data = args.data / name
    imports = dict(IMPORTS[name])
    source = args.source / imports.pop('folder')
    values = dict(
        data=data,
        source=source,
        raw=args.data / f'raw_{name}',
        pictures=args.data / 'pictures' / name)
    make_raw = dict(scannet=raw_scan, s3dis=raw_room).get(name)
    if make_raw:
        make_raw(source, values['raw'])
    _run_all(data, imports, values)
    frames = len(list((data / 'posed_images').glob('*/*.jpg')))
    if frames:
        more = dict(features_dinov2=DINOV2) if frames < 10 else {}
        _run_all(data, {
            **FRAME_STEPS,
            **more
        }, dict(values, groups=min(20, 4 * frames)))
    _run_all(data, CHECKS, values)
    return measure(data)


def _run_all(data: Path, commands: Dict[str, str], values: Dict[str,
                                                                Any]) -> None:
    """Run the steps that have not been run before."""
    reports = data.parent / 'reports' / data.name
    reports.mkdir(parents=True, exist_ok=True)
    for name, text in commands.items():
        report = reports / f'{name}.json'
        if report.exists():
            continue
        if name in REPORTING:
            _run(f'{text} --workers 0 --report {report}', values)
        else:
            seconds = _run(text, values)
            report.write_text(json.dumps(dict(seconds=seconds)))


def _run(text: str, values: Dict[str, Any]) -> float:
    """Run a tool of preparation, show it, and return the seconds it took."""
    tool, _, options = text.partition(' ')
    step = steps.Command(
        steps.command(f'tools/preparation/{tool}.py {options}', **values), '')
    print('$', step, flush=True)
    begin = time.time()
    status, _ = steps.run_command(
        step.command, dict(os.environ, CI='1', OMP_NUM_THREADS='1'))
    if status:
        steps.stop(step, status)
    return time.time() - begin


def raw_scan(source: Path, folder: Path) -> None:
    """Write the labeled ScanNet scan in raw coordinates, as its frames are."""
    align = np.loadtxt(source / 'axis_align_matrix.txt').reshape(4, 4)
    with np.load(source / 'scene0000_00_labelled.npz') as scan:
        arrays = dict(scan)
    back = np.linalg.inv(align)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / 'scene0000_00.npz',
        xyz=arrays['xyz_aligned'] @ back[:3, :3].T + back[:3, 3],
        rgb=arrays['rgb'],
        semantic=arrays['sem_nyu40'],
        instance=arrays['instance'],
        bbox=arrays['bbox'],
        axis_align_matrix=align)


def raw_room(source: Path, folder: Path) -> None:
    """Write the S3DIS tile as a room of the raw release."""
    names = ('ceiling floor wall beam column window door table chair sofa '
             'bookcase board clutter').split()
    with np.load(source / 'points.npz') as tile:
        xyz, rgb, labels = (tile[key] for key in ('xyz', 'rgb', 'sem_s3dis13'))
    room = folder / 'Area_5/office_1'
    (room / 'Annotations').mkdir(parents=True, exist_ok=True)
    rows = np.concatenate([xyz, rgb], axis=1)
    form = '%.3f %.3f %.3f %d %d %d'
    np.savetxt(room / 'office_1.txt', rows, form)
    for label in np.unique(labels):
        np.savetxt(room / f'Annotations/{names[label]}_1.txt',
                   rows[labels == label], form)


def size_per_frame(folder: Path, frames: int) -> Optional[float]:
    """Bytes of a store for each frame, its bookkeeping included."""
    files = [path for path in folder.rglob('*') if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    return total / frames if files and frames else None


def field_mean(store: Path, field: str) -> Optional[float]:
    """Mean of a number in the records of a store's completed items."""
    if not Store(store).exists():
        return None
    values = [
        item.fields[field] for record in Store(store).manifest().values()
        for item in record.completed.values() if field in item.fields
    ]
    return float(np.mean(values)) if values else None


def measure(data: Path) -> Dict[str, Any]:
    """What the steps said and left on disk.

    Returns ``steps`` with items, seconds and speed of each, and figures of the
    stores; bytes are per frame.
    """
    reports = sorted((data.parent / 'reports' / data.name).glob('*.json'))
    steps = {path.stem: json.loads(path.read_text()) for path in reports}
    for entry in steps.values():
        if entry.get('made'):
            entry['per_second'] = entry['made'] / entry['seconds']
    maps = data / 'region_maps'
    frames = len(list(maps.glob('*/*.png')))
    return dict(
        frames=frames,
        steps=steps,
        regions_per_frame=field_mean(maps, 'regions'),
        share_of_pixels=field_mean(maps, 'covered'),
        share_of_points=field_mean(data / 'regions', 'covered'),
        scan_regions=field_mean(data / 'regions', 'regions'),
        bytes={
            name: size_per_frame(data / name, frames)
            for name in ('region_maps', 'region_features', 'region_groups',
                         'region_features_dinov2')
        })


def make_synthrooms(folder: Path) -> Dict[str, Any]:
    """Make 30 scenes of 12 frames with two workers, and drop them."""
    report = folder / 'reports/synthrooms.json'
    with tempfile.TemporaryDirectory(dir=folder) as data:
        _run(
            'make_synthrooms --scenes 30 --frames 12 --seed 0 --workers 2 '
            '--out {data} --report {report}', dict(data=data, report=report))
    made = json.loads(report.read_text())
    return dict(scenes=made['made'], workers=2, seconds=made['seconds'])
