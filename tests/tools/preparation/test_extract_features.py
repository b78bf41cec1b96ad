"""The command line: options arrive, and errors end in one sentence."""
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from sam3d_plugin.store.records import ItemRecord, ScanRecord
from sam3d_plugin.store.region_features import RegionFeatures
from sam3d_plugin.store.region_maps import encode_region_map
from tests.tools.conftest import load_tool

ROOT = Path(__file__).parents[3]
TOOL = ROOT / 'tools/preparation/extract_features.py'
SIZE = 30, 40


@pytest.fixture(scope='module')
def tool():
    return load_tool('preparation/extract_features')


@pytest.fixture
def data(tmp_path):
    """Two scans of two frames."""
    images = PosedImages(tmp_path / 'posed_images')
    maps = Store(tmp_path / 'region_maps')
    maps.open('region_maps', dict(generator='planted'))
    rng = np.random.default_rng(0)
    ids = (np.arange(SIZE[1]) // 20 + 1) * np.ones((SIZE[0], 1), int)
    for scan in 'ab':
        images.write_cameras(scan,
                             Cameras(np.eye(3), np.eye(3), np.eye(4), True))
        record = ScanRecord(scan)
        for frame in ('00000', '00025'):
            files = frame_files(
                encode_color(rng.integers(0, 256, (*SIZE, 3), np.uint8)),
                np.ones(SIZE, np.uint16), np.eye(4))
            for ending, content in files.items():
                (tmp_path / 'posed_images' / scan /
                 f'{frame}{ending}').write_bytes(content)
            record.items[frame] = ItemRecord(
                'ok', '',
                maps.write({f'{scan}/{frame}.png': encode_region_map(ids)}))
        maps.write_record(record)
    return tmp_path


def test_handcrafted_features_of_a_data_set(tool, data, capsys):
    arguments = [
        f'--data={data}', '--encoder=handcrafted', '-O', 'long_side=40',
        'stride=1', '--workers=0'
    ]
    assert tool.main(arguments) == 0
    assert '4 frames made' in capsys.readouterr().out
    features = RegionFeatures(data / 'region_features')
    assert features.frames('b') == ['00000', '00025']
    assert features.read('b', '00025').mean.shape == (2, 60)
    settings = Store(data / 'region_features').header()['settings']
    assert settings == dict(
        encoder='handcrafted',
        options=dict(definition=1, long_side=40, stride=1),
        regions=dict(generator='planted'))
    assert tool.main(arguments) == 0
    assert '0 frames made, 4 kept' in capsys.readouterr().out


def test_timm_features_elsewhere(tool, data):
    regions, out = data / 'elsewhere', data / 'out'
    (data / 'region_maps').rename(regions)
    assert tool.main([
        f'--data={data}', f'--regions={regions}', f'--out={out}',
        '--encoder=timm', '-O', 'model=vit_tiny_patch16_224',
        'random_weights_seed=0', 'long_side=64', 'batch_size=2', 'device=cpu',
        '--workers=0'
    ]) == 0
    assert RegionFeatures(out).read('a', '00000').max.shape == (2, 192)
    assert not (data / 'region_features').exists()


def test_shards_are_disjoint(tool, data):
    for i, kept in ((0, ['a']), (1, ['a', 'b'])):
        assert tool.main([
            f'--data={data}', '--encoder=handcrafted', f'--shard={i}/2',
            '--workers=0'
        ]) == 0
        assert RegionFeatures(data / 'region_features').scans() == kept


@pytest.mark.parametrize('options, reason', [
    (['--encoder=timm'], 'needs weights'),
    (['--encoder=timm', '-O', 'checkpoint=no.pth'], 'no.pth is missing'),
    (['--encoder=handcrafted', '-O', 'layer=3'], 'no option layer'),
    (['--encoder=handcrafted', '--regions=nowhere'], 'nowhere is not a store'),
])
def test_errors_are_one_sentence(tool, data, capsys, options, reason):
    assert tool.main([f'--data={data}', '--workers=0', *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
    assert reason in error


def test_building_the_step_loads_no_model(tool, data):
    args = tool.parse_args([f'--data={data}', '--encoder=handcrafted'])
    step = tool.build_step(args)
    assert step.kind == 'region_features'
    assert args.out == f'{data}/region_features'


def test_what_is_imported():
    code = ('import sys; import sam3d_plugin.store.region_features, '
            'sam3d_plugin.store.region_groups as g; '
            'print([m for m in ("timm", "mmdet3d", "torch", "sklearn") '
            'if m in sys.modules])')
    found = subprocess.run([sys.executable, '-c', code],
                           cwd=ROOT,
                           capture_output=True,
                           text=True,
                           check=True)
    assert found.stdout.strip() == '[]'
