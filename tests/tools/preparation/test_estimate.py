"""estimate.py runs the step's own tool on a few items, and writes nothing."""
import importlib.util
import json
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)

TOOL = Path(__file__).parents[3] / 'tools/preparation/estimate.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('estimate_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Five small frames of two scans, no id maps."""
    root = tmp_path_factory.mktemp('estimate') / 'data'
    images = PosedImages(root / 'posed_images')
    k = np.array([[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1.0]])
    for scan, count in (('a', 3), ('b', 2)):
        images.write_cameras(scan, Cameras(k, k, np.eye(4), True))
        for i in range(count):
            color = np.zeros((48, 64, 3), np.uint8)
            color[:, 32:] = 200
            color[24:, :, i] = 120
            files = frame_files(
                encode_color(color), np.full((48, 64), 1500, np.uint16),
                np.eye(4))
            for ending, content in files.items():
                Path(images.path(scan,
                                 f'{i:05d}{ending}')).write_bytes(content)
    return root


def read(tool, capsys, *arguments):
    assert tool.main([*arguments, '--json']) == 0
    return json.loads(capsys.readouterr().out)


def test_regions_are_measured_and_nothing_is_written(tool, data, capsys):
    before = sorted(data.rglob('*'))
    result = read(tool, capsys, '--step=regions', f'--data={data}',
                  '--workers=1', '--sample=2')
    assert (result['items'], result['scans'], result['left']) == (5, 2, 5)
    assert result['sample']['items'] == 2 and result['workers'] == 1
    assert result['sample']['source'].startswith('measured on 2 frames')
    assert result['size'] > 5 * 60 and result['device'] == 'CPU'
    assert sorted(data.rglob('*')) == before


def test_features_need_no_id_maps_to_be_estimated(tool, data, capsys):
    result = read(tool, capsys, '--step=features', f'--data={data}',
                  '--encoder=handcrafted', '--workers=0')
    assert result['items'] == 5 and result['step'] == 'region_features'
    assert 'superpixel regions since there are no id maps yet' in \
        result['sample']['source']
    assert not (data / 'region_maps').exists()


def test_features_come_with_what_geometry_explains(tool, data, capsys,
                                                   tmp_path):
    """The published share of the encoder, or how to measure it."""
    share = next(entry['mlp']
                 for entry in json.loads(tool.GEOMETRY.read_text()).values()
                 if entry['encoder'] == 'handcrafted')
    assert tool.main([
        '--step=features', f'--data={data}', '--encoder=handcrafted',
        '--workers=0', '--sample=1'
    ]) == 0
    assert f'explain {share:.0%} of the variance' in capsys.readouterr().out
    for measured in (tool.GEOMETRY, tmp_path / 'missing.json'):
        unknown = tool.geometry_advice('new', measured)
        assert 'not measured' in unknown and 'feature_geometry.py' in unknown


def test_sam_without_checkpoint_takes_the_published_cost(tool, data, capsys):
    result = read(tool, capsys, '--step=regions', f'--data={data}',
                  '--generator=sam')
    assert result['device'] == 'GPU' and result['workers'] == 1
    assert result['sample']['seconds'] == pytest.approx(5.6)
    assert 'published, not measured' in result['sample']['source']


def test_the_table_warns_when_the_disk_is_too_small(tool, data, capsys,
                                                    monkeypatch):
    usage = namedtuple('Usage', 'free')(1)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    assert tool.main(['--step=regions', f'--data={data}', '--workers=1']) == 1
    output = capsys.readouterr().out
    assert 'It will not fit on the disk' in output and '5 in 2 scans' in output


def test_errors_end_in_one_sentence(tool, tmp_path, capsys):
    assert tool.main(['--step=regions', f'--data={tmp_path}']) == 1
    assert 'there are no frames to work on' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(['--step=regions', '--data=x', '--unknown=1'])
