"""inspect_scans.py: what it writes of a small scan, and its numbers."""
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plyfile import PlyData

from sam3d_plugin.store import write_region_file
from sam3d_plugin.store.manifest import ItemRecord, ScanRecord, Store
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from sam3d_plugin.store.region_features import pack_features, to_feature_arrays
from sam3d_plugin.store.region_groups import (GROUPS_FILE, Groups,
                                              encode_groups, pack_group_ids)
from sam3d_plugin.store.region_maps import encode_region_map

TOOLS = Path(__file__).parents[3] / 'tools/preparation'
IDS = np.repeat(np.array([0, 1, 2, 3], np.uint16), 16)[None].repeat(48, 0)


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('inspect_tool',
                                                  TOOLS / 'inspect_scans.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    """Three frames of scan a; the last has no id map, and the record why."""
    root = tmp_path / 'data'
    images = PosedImages(root / 'posed_images')
    k = np.array([[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1.0]])
    images.write_cameras('a', Cameras(k, k, np.eye(4), True))
    maps = Store(root / 'region_maps')
    maps.open('region_maps', dict(generator='a test'))
    record = ScanRecord('a')
    for i in range(3):
        color = np.full((48, 64, 3), 40 * i, np.uint8)
        files = frame_files(
            encode_color(color), np.full((48, 64), 1500, np.uint16), np.eye(4))
        for ending, content in files.items():
            Path(images.path('a', f'{i}{ending}')).write_bytes(content)
        record.items[f'{i}'] = ItemRecord(
            'ok', '', maps.write({f'a/{i}.png': encode_region_map(IDS)}),
            dict(regions=3)) if i < 2 else ItemRecord('skipped', 'too dark')
    maps.write_record(record)
    return root


def write_features_and_groups(root):
    arrays = to_feature_arrays(
        np.ones((3, 4)), np.ones((3, 4)), np.full(3, 768), 'x')
    frames = {name: arrays for name in '01'}
    Store(root / 'region_features').write(
        {'a.safetensors': pack_features(frames)})
    groups = Groups(
        np.zeros((2, 4), np.float32), np.array([2, 4]), np.array([.6, .4]))
    Store(root / 'region_groups/train').write({
        GROUPS_FILE:
        encode_groups(groups),
        'a.safetensors':
        pack_group_ids({name: np.array([0, 1, 1])
                        for name in '01'})
    })


def test_frames_alone_are_shown(tool, data, capsys):
    assert tool.main([f'--data={data}', '--max-points=1000']) == 0
    output = capsys.readouterr().out
    for line in ('frames with images: 3', 'of them with an id map: 2',
                 '2: no id map: too dark', 'regions: 6',
                 'covered pixels, min / median / max: 75.0% / 75.0% / 75.0%'):
        assert line in output
    out = data / 'inspection'
    assert sorted(path.name for path in out.iterdir()) == [
        'a.html', 'a.png', 'a_regions.ply', 'a_rgb.ply'
    ]
    vertex = PlyData.read(out / 'a_regions.ply')['vertex']
    assert set(np.unique(vertex['region'])) == set(range(7)), 'frames differ'
    np.testing.assert_allclose(vertex['z'], 1.5)
    page = (out / 'a.html').read_text()
    assert 'skipped: too dark' in page and '<h3>region_maps</h3>' in page
    assert Image.open(out / 'a.png').size[0] > 3 * 64


def test_points_of_the_scan_groups_and_features_are_shown(
        tool, data, tmp_path, capsys):
    write_features_and_groups(data)
    points = np.random.default_rng(0).uniform(size=(50, 6)).astype('<f4')
    (data / 'points').mkdir()
    points.tofile(data / 'points/a.bin')
    write_region_file(data / 'regions/a.npz',
                      np.arange(50) % 5, points[:, :3], 'a')
    assert tool.main([f'--data={data}', f'--out={tmp_path}/out']) == 0
    output = capsys.readouterr().out
    assert 'points: 50' in output and 'in a region: 80.0%' in output
    assert 'regions × channels: 6 × 4' in output
    assert 'largest group here: 66.7% of 6 regions' in output
    vertex = PlyData.read(tmp_path / 'out/a_rgb.ply')['vertex']
    np.testing.assert_array_equal(vertex['region'], np.arange(50) % 5)
    np.testing.assert_array_equal(vertex['red'],
                                  (points[:, 3] * 255).astype(np.uint8),
                                  'rgb 0 to 1')
    page = (tmp_path / 'out/a.html').read_text()
    assert '"groups": [0, 1, 1]' in page


def test_damage_is_shown_and_does_not_hide_the_rest(tool, data, capsys):
    (data / 'region_maps/a/0.png').write_bytes(b'')
    (data / 'posed_images/a/1.jpg').write_bytes(b'')
    assert tool.main([f'--data={data}']) == 0
    output = capsys.readouterr().out
    assert '0: damaged: region_maps/a/0.png is not a readable image' in output
    assert 'a.png: 2 frames' in output


@pytest.mark.parametrize('arguments, message', [
    (['--scan', 'x'], 'has no scan x; it has a'),
    (['--groups', 'all'], 'has no set all of groups; it has none'),
])
def test_what_is_not_there_is_named(tool, data, capsys, arguments, message):
    assert tool.main([f'--data={data}', *arguments]) == 1
    assert message in capsys.readouterr().err


def test_truncated_points_are_named(tool, data, capsys):
    (data / 'points').mkdir()
    (data / 'points/a.bin').write_bytes(b'12345')
    assert tool.main([f'--data={data}']) == 1
    assert 'a.bin is empty or truncated' in capsys.readouterr().err


def test_no_tool_hides_a_module_of_python():
    """A script's folder comes first where Python looks for modules."""
    names = {path.stem for path in TOOLS.glob('*.py')}
    assert not names & set(sys.stdlib_module_names)
    code = 'import inspect, dataclasses; print(inspect.__file__)'
    result = subprocess.run([sys.executable, '-c', code],
                            cwd=TOOLS,
                            capture_output=True,
                            text=True,
                            check=True)
    assert 'preparation' not in result.stdout
