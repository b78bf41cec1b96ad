"""Bad data ends a training on region tokens in one sentence."""
import pickle
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.store import write_region_file
from .conftest import load_tool

CONFIGS = Path(__file__).parents[2] / 'configs' / 'sam3d'


def few_points(root):
    np.zeros((100, 6), np.float32).tofile(root / 'points' / 'a.bin')


def not_finite(root):
    path = root / 'points' / 'a.bin'
    points = np.fromfile(path, np.float32)
    points[13] = np.nan
    points.tofile(path)
    regions_of('a', 'a')(root)


def no_regions(root):
    path = root / 'scannet_infos_train.pkl'
    content = pickle.loads(path.read_bytes())
    del content['data_list'][0]['pts_region_path']
    path.write_bytes(pickle.dumps(content))


def regions_of(scan, points_of, num_points=2048):
    """Write a scan's region file for other points."""

    def write(root):
        points = np.fromfile(root / 'points' / f'{points_of}.bin', np.float32)
        write_region_file(root / 'regions' / f'{scan}.npz',
                          np.ones(num_points, int),
                          points.reshape(-1, 6)[:num_points, :3], points_of)

    return write


@pytest.mark.parametrize('break_data, parts', [
    (few_points, ('a.bin has 100 points', 'lower num_tokens')),
    (not_finite, ('a.bin: 1 of 2048 points are not finite', 'import')),
    (no_regions, ('names no region file', 'a.bin', 'kNN tokens')),
    (regions_of('a', 'b'), ('a.npz belongs to other points', 'scan is b')),
    (regions_of('a', 'a', 2000), ('a.npz holds 2000 region ids', '2048')),
])
def test_bad_scan_is_one_sentence(break_data, parts, scannet_root, tmp_path,
                                  capsys):
    from sam3d_plugin.cli.tool import run_tool
    break_data(scannet_root)
    module = load_tool('train')
    args = module.parse_args([
        str(CONFIGS / 'votenet_scannet.py'), '--work-dir',
        str(tmp_path / 'work'), '--cfg-options', f'data_root={scannet_root}',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'train_dataloader.dataset.times=1', 'train_dataloader.batch_size=2',
        'val_dataloader.num_workers=0',
        'model.backbone.tokenizer.num_tokens=256',
        f'experiment_name=bad{tmp_path.name}'
    ])
    assert run_tool(module.main, args) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence.startswith('error: ')
    for part in parts:
        assert part in sentence
