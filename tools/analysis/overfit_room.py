"""Overfit the real room and evaluate it and its rescan, for docs/results.

Imports the two scans of one ScanNet room, trains GroupFree3D on the first
with SAM and with kNN tokens, one after the other, and evaluates both. Every
step is a plain command, printed before it runs. A finished training is not
run again.
"""
import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

SOURCE = '../shared/data/scannet_scene0000'
CONFIGS = {
    'sam': 'configs/sam3d/groupfree3d_scannet_mini.py',
    'knn': 'configs/sam3d/groupfree3d_scannet_mini_knn.py',
}
# The rescan has no published regions, so SAM tokens cannot be made for it.
SPLITS = {'sam': ['val'], 'knn': ['val', 'rescan']}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--source', default=SOURCE, help='folder of the scans')
    parser.add_argument('--data', default='data/scannet_room')
    parser.add_argument('--work-dir', default='work_dirs/overfit_room')
    parser.add_argument(
        '--arms', nargs='+', default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument('--json', default='docs/results/overfit_room.json')
    return parser.parse_args()


def run(command: List[str]) -> float:
    """Run a command, show it, and return the seconds it took."""
    print('$', shlex.join(command), flush=True)
    begin = time.time()
    subprocess.run([sys.executable] + command[1:], check=True)
    return time.time() - begin


def import_room(source: str, data: str) -> None:
    """Import the room and its rescan, unless that was done before."""
    if Path(data, 'scannet_infos_rescan.pkl').exists():
        return
    run([
        'python', 'tools/preparation/import_scans.py', '--source', source,
        '--out', data, '--train', 'scene0000_00', '--val', 'scene0000_00',
        '--split', 'rescan=scene0000_01'
    ])


def train(arm: str, data: str, work_dir: Path) -> float:
    """Train one arm, unless that was done before; return its seconds."""
    done = work_dir / 'training_seconds.json'
    if done.exists():
        return json.loads(done.read_text())
    if (work_dir / 'last_checkpoint').exists():
        raise SystemExit(f'{work_dir} holds a training that was broken off, '
                         'whose time is not known; remove the folder')
    seconds = run([
        'python', 'tools/train.py', CONFIGS[arm], '--work-dir',
        str(work_dir), '--cfg-options', f'data_root={data}'
    ])
    done.write_text(json.dumps(seconds))
    return seconds


def evaluate(arm: str, split: str, data: str,
             work_dir: Path) -> Dict[str, float]:
    """Evaluate the last checkpoint of an arm on one split."""
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    result = work_dir / f'metrics_{split}.json'
    run([
        'python', 'tools/test.py', CONFIGS[arm], checkpoint, '--work-dir',
        str(work_dir / split), '--json',
        str(result), '--cfg-options', f'data_root={data}',
        f'test_dataloader.dataset.ann_file=scannet_infos_{split}.pkl'
    ])
    metrics = json.loads(result.read_text())
    return {
        f'ap{threshold}': metrics[f'mAP_0.{threshold}']
        for threshold in (25, 50)
    }


def main() -> None:
    """Run the arms and write the results."""
    args = parse_args()
    import_room(args.source, args.data)
    results = {'arms': {}, 'machine': machine()}
    for arm in args.arms:
        work_dir = Path(args.work_dir, arm)
        seconds = train(arm, args.data, work_dir)
        results['arms'][arm] = {
            'config': CONFIGS[arm],
            'training_s': round(seconds),
            **{
                split: evaluate(arm, split, args.data, work_dir)
                for split in SPLITS[arm]
            }
        }
    Path(args.json).parent.mkdir(parents=True, exist_ok=True)
    Path(args.json).write_text(json.dumps(results, indent=1) + '\n')
    print(json.dumps(results['arms'], indent=1))


def machine() -> Dict[str, object]:
    """Name the hardware and the commit."""
    commit = subprocess.run(['git', 'describe', '--always', '--dirty'],
                            capture_output=True,
                            text=True).stdout.strip()
    return {
        'cpu': platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
        'commit': commit
    }


if __name__ == '__main__':
    main()
