"""Run the whole preparation on the real recordings, for docs/preparation.md.

    python tools/experiments/preparation_chain.py --source ../shared/data

Imports a 7-Scenes recording, four ScanNet frames with their scan, three SUN
RGB-D frames and an S3DIS room, runs every step of preparation on them, and
makes 30 scenes of SynthRooms.
Each step is a plain command, printed before it runs; what a step says of
itself (``--report``) and what it left on disk becomes docs/results/
preparation.json. Steps that are done are not run again.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.experiments import steps
from sam3d_plugin.store import provenance
from sam3d_plugin.store.manifest import Store

# Per frame, 640x480: a mask file of three uint8 channels and one fp32 grid of
# 768 features, 14 pixels apart.
REFERENCE_BYTES = 1.97e6


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--source', type=Path, default='../shared/data')
    parser.add_argument('--data', type=Path, default='data/chain')
    parser.add_argument(
        '--only', nargs='+', metavar='NAME', help='some of the recordings')
    parser.add_argument('--json', default='docs/results/preparation.json')
    return parser.parse_args()


def run(command: Sequence[str]) -> float:
    """Run a command, show it, and return the seconds it took."""
    step = steps.Step(['python', *command], '')
    print('$', step, flush=True)
    begin = time.time()
    status, _ = steps.run_command(
        step.command, dict(os.environ, CI='1', OMP_NUM_THREADS='1'))
    if status:
        steps.stop(step, status)
    return time.time() - begin


def raw_scan(source: Path, folder: Path) -> Path:
    """The labeled ScanNet scan in raw coordinates, as its frames are."""
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
    return folder


def raw_room(source: Path, folder: Path) -> Path:
    """The S3DIS tile as a room of the raw release."""
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
    return folder


def scenes7(source: Path, data: Path) -> Dict[str, List[str]]:
    """Frames of two cameras and no scan: import them and fuse one."""
    tool = 'tools/preparation/import_rgbd_folder.py'
    return {
        'import': [
            tool, '--source',
            str(source / 'frames'), '--out',
            str(data), '--scan', 'redkitchen', '--layout', '7scenes',
            '--depth-intrinsics',
            str(source / 'camera-intrinsics.txt'), '--color-intrinsics',
            '526.9,526.9,322.9,238.3', '--depth-to-color=-0.032,-0.0001,0',
            '--down',
            str(source / 'gravity-direction.txt')
        ],
        'fuse': ['tools/preparation/fuse_frames.py', '--data',
                 str(data)],
    }


def scannet(source: Path, data: Path) -> Dict[str, List[str]]:
    """A scan with four frames, both in raw coordinates."""
    raw = raw_scan(source, data.parent / 'raw_scannet')
    return {
        'import': [
            'tools/preparation/import_rgbd_folder.py', '--source',
            str(source / 'frames'), '--out',
            str(data), '--scan', 'scene0000_00', '--layout', 'scannet',
            '--color-intrinsics',
            str(source / 'intrinsic_depth.txt')
        ],
        'import_scans': [
            'tools/preparation/import_scans.py', '--source',
            str(raw), '--out',
            str(data), '--overwrite'
        ],
    }


def sunrgbd(source: Path, data: Path) -> Dict[str, List[str]]:
    """Three frames of the validation set."""
    return {
        'import': [
            'tools/preparation/prepare_sunrgbd.py', '--source',
            str(source), '--out',
            str(data), '--partial'
        ]
    }


def s3dis(source: Path, data: Path) -> Dict[str, List[str]]:
    """A part of a room; superpoints are its regions."""
    raw = raw_room(source, data.parent / 'raw_s3dis')
    return {
        'import': [
            'tools/preparation/prepare_s3dis.py', '--source',
            str(raw), '--out',
            str(data), '--partial'
        ]
    }


RECORDINGS: Dict[str, Tuple[str, Callable[[Path, Path], Dict]]] = {
    '7scenes': ('7scenes_redkitchen', scenes7),
    'scannet': ('scannet_scene0000', scannet),
    'sunrgbd': ('sunrgbd', sunrgbd),
    's3dis': ('s3dis_tile', s3dis),
}
# Steps that report what they did.
REPORTING = {
    'import', 'fuse', 'regions', 'features', 'features_dinov2', 'lift_frames',
    'lift'
}


def frame_steps(data: Path, num_frames: int) -> Dict[str, List[str]]:
    """The steps from frames to groups and regions of scans."""
    tools, folder = 'tools/preparation', ['--data', str(data)]
    groups = str(min(20, 4 * num_frames))
    steps = {
        'regions': [f'{tools}/generate_regions.py', *folder],
        'features':
        [f'{tools}/extract_features.py', *folder, '--encoder', 'handcrafted'],
        'groups': [f'{tools}/build_groups.py', *folder, '--groups', groups],
        'lift_frames': [f'{tools}/lift_regions.py', *folder, '--frames'],
        'lift': [f'{tools}/lift_regions.py', *folder],
    }
    if num_frames < 10:
        # 4 to 8 s a frame on one core, and without weights only a cost.
        steps['features_dinov2'] = [
            f'{tools}/extract_features.py', *folder, '--encoder', 'timm',
            '--out',
            str(data / 'region_features_dinov2'), '-O', 'random_weights_seed=0'
        ]
    return steps


def run_steps(data: Path, commands: Dict[str, List[str]]) -> None:
    """Run the steps that have not been run before."""
    reports = data.parent / 'reports' / data.name
    reports.mkdir(parents=True, exist_ok=True)
    for name, command in commands.items():
        report = reports / f'{name}.json'
        if report.exists():
            continue
        if name in REPORTING:
            run([*command, '--workers', '0', '--report', str(report)])
        else:
            report.write_text(json.dumps(dict(seconds=run(command))))


def size_per_frame(folder: Path, frames: int) -> Optional[float]:
    """Bytes of a store for each frame, its bookkeeping included."""
    files = [path for path in folder.rglob('*') if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    return total / frames if files and frames else None


def field_mean(store: Path, field: str) -> Optional[float]:
    """Mean of a number in the records of a store's whole items."""
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
    """Make 30 scenes of 12 frames with two workers, and drop them.

    Returns the number of scenes and workers, and seconds.
    """
    report = folder / 'reports/synthrooms.json'
    with tempfile.TemporaryDirectory(dir=folder) as data:
        run([
            'tools/preparation/make_synthrooms.py', '--scenes', '30',
            '--frames', '12', '--seed', '0', '--workers', '2', '--out', data,
            '--report',
            str(report)
        ])
    made = json.loads(report.read_text())
    return dict(scenes=made['made'], workers=2, seconds=made['seconds'])


def main() -> int:
    """Run the chain and write the results."""
    args = parse_args()
    tools = 'tools/preparation'
    results = {}
    for name in args.only or RECORDINGS:
        folder, sources = RECORDINGS[name]
        data = args.data / name
        run_steps(data, sources(args.source / folder, data))
        frames = len(list((data / 'posed_images').glob('*/*.jpg')))
        if frames:
            run_steps(data, frame_steps(data, frames))
        run_steps(
            data, {
                'verify': [f'{tools}/verify.py', '--data',
                           str(data)],
                'inspect': [
                    f'{tools}/inspect_scans.py', '--data',
                    str(data), '--out',
                    str(args.data / 'pictures' / name)
                ]
            })
        results[name] = measure(data)
    content = dict(
        machine=provenance.machine(),
        reference_bytes=REFERENCE_BYTES,
        recordings=results,
        synthrooms=make_synthrooms(args.data))
    Path(args.json).write_text(json.dumps(content, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
