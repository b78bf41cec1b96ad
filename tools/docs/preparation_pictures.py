"""Draw the pictures of docs/preparation.md from a SynthRooms set.

    DATA=data/synthrooms
    python tools/preparation/make_synthrooms.py --size quick --out $DATA
    python tools/docs/preparation_pictures.py --data $DATA

Runs the steps of preparation on the set first, unless they are done.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import mmengine
import numpy as np
from PIL import Image

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.ops.projection import transform
from sam3d_plugin.store import read_region_file
from sam3d_plugin.visualization.boxes import LabelledBoxes
from sam3d_plugin.visualization.points import colors_from_ids
from sam3d_plugin.visualization.render import render_scene
from sam3d_plugin.visualization.scene import Scene

# Of the pictures in the repository.
_WIDTH, _COLORS = 1100, 256
SCAN, OUT = 'scene0000_00', Path('docs/pictures')
STEPS = {
    'generate_regions.py': [],
    'extract_features.py': ['--encoder', 'handcrafted'],
    'build_groups.py': [],
    'lift_regions.py': [],
}


def run(tool: str, data: Path, *options: str) -> None:
    """Run a tool of preparation on the set."""
    subprocess.run([
        sys.executable, f'tools/preparation/{tool}', '--data',
        str(data), *options
    ],
                   check=True)


def draw_scan(data: Path, scan: str, out: Path) -> None:
    """Draw a scan with its true boxes, and its merged regions.

    Args:
        data (Path): Folder of the set.
        scan (str): Name of the scan, in the training infos.
        out (Path): Folder of the pictures.
    """
    infos = mmengine.load(data / 'scannet_infos_train.pkl')
    names = list(infos['metainfo']['categories'])
    info = next(entry for entry in infos['data_list']
                if entry['lidar_points']['lidar_path'] == f'{scan}.bin')
    points = np.fromfile(data / f'points/{scan}.bin', '<f4').reshape(-1, 6)
    regions = read_region_file(data / f'regions/{scan}.npz', points[:, :3])
    xyz = transform(points[:, :3], np.array(info['axis_align_matrix']))
    boxes = LabelledBoxes(
        np.array([entry['bbox_3d'] for entry in info['instances']]),
        [names[entry['bbox_label_3d']] for entry in info['instances']])
    render_scene(
        out / 'synthrooms_scan.png',
        Scene(f'SynthRooms {scan}: {len(xyz):,} points, {len(boxes)} boxes',
              xyz, points[:, 3:].astype(np.uint8), boxes))
    render_scene(
        out / 'synthrooms_regions.png',
        Scene(
            f'{len(np.unique(regions[regions > 0]))} superpixel regions '
            'merged over the frames', xyz, colors_from_ids(regions)))


def shrink(path: Path) -> None:
    """Make a picture small enough for the repository."""
    with Image.open(path) as image:
        small = image.convert('RGB')
    small.thumbnail((_WIDTH, small.height))
    small.quantize(_COLORS).save(path, optimize=True)


def main() -> int:
    """Make the pictures."""
    parser = ToolParser(__doc__)
    parser.add_argument('--data', type=Path, required=True)
    args = parser.parse_args()
    for tool, options in STEPS.items():
        run(tool, args.data, *options)
    with tempfile.TemporaryDirectory() as folder:
        run('inspect_scans.py', args.data, '--scan', SCAN, '--out', folder,
            '--frames', '4')
        shutil.copy(Path(folder, f'{SCAN}.png'), OUT / 'synthrooms_frames.png')
    shutil.copy(args.data / 'region_groups/train/report.png',
                OUT / 'synthrooms_groups.png')
    draw_scan(args.data, SCAN, OUT)
    for name in ('frames', 'scan', 'regions'):
        shrink(OUT / f'synthrooms_{name}.png')
    return 0


if __name__ == '__main__':
    sys.exit(main())
