"""The study of purity and the benchmark of lifting run and add up."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sam3d_plugin.preparation.lifting import purity_cases as cases
from sam3d_plugin.store.files import write_bytes
from sam3d_plugin.store.manifest import Store
from tests.preparation.lifting_scene import (scan_points, view_frames,
                                             write_scan)
from tests.tools.conftest import call
from tools.benchmark import main

ROOT = Path(__file__).parents[3]
SCAN = 'balls'


@pytest.fixture
def data(tmp_path):
    """A prepared set of one scan whose id maps are halves of the image."""

    def halve(instance):
        halves = np.ones_like(instance)
        halves[:, instance.shape[1] // 2:] = 2
        return halves

    write_scan(tmp_path, 4, halve)
    for frame, instance in view_frames(4):
        path = tmp_path / 'frame_instances' / SCAN / f'{frame.name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(instance).save(path)
    Store(tmp_path / 'region_maps').open('region_maps',
                                         dict(generator='halves'))
    _, instances = scan_points()
    for folder in ('instance_mask', 'semantic_mask'):
        write_bytes(tmp_path / folder / f'{SCAN}.bin',
                    instances.astype('<i8').tobytes())
    return tmp_path


def test_merged_regions_are_judged_by_rule_and_by_masks(data, tmp_path):
    out = tmp_path / 'purity.json'
    call('experiments/region_purity',
         [f'--synthrooms={data}', f'--json={out}'])
    study = json.loads(out.read_text())['synthrooms']
    assert study['scans'] == 1 and study['generator'] == 'halves'
    true, halves = study['kinds']['true_masks'], study['kinds']['generated']
    assert true['ours']['purity'] > 0.98 > halves['ours']['purity']
    assert true['ours']['num_regions'] == 6
    assert true['ours']['regions_per_instance'] == 1
    assert true['ours']['purity'] > true['fps_nearest_center']['purity']
    assert halves['single_frames']['num_regions'] == 2
    assert halves['single_frames']['covered'] == 1


def test_tokens_without_regions():
    rng = np.random.default_rng(0)
    blobs = rng.normal(size=(3, 100, 3)) * 0.1 + np.eye(3)[:, None] * 5
    xyz, instances = blobs.reshape(-1, 3), np.repeat([1, 2, 3], 100)
    part = cases.Labeled(xyz, instances,
                         dict(true=instances, one=np.ones(300, int)))
    measured = cases.measure_regions([part, part], 'true')
    for name in ('regions', 'fps_nearest_center', 'fps_knn_mean_size'):
        assert measured[name]['purity'] == 1
        assert measured[name]['covered'] == 1
        assert measured[name]['num_regions'] == 3
    # 128 neighbours are more than a blob has.
    assert measured['fps_knn_128']['purity'] == pytest.approx(
        100 / 128, abs=1e-3)
    single = cases.measure_regions([part], 'one')
    assert single['regions']['purity'] == pytest.approx(1 / 3, abs=1e-3)


def test_the_benchmark_measures_frames_per_second(tmp_path, monkeypatch):
    out = tmp_path / 'lifting.json'
    # Threads of this process are those of the other tests too.
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: None)
    main(['lifting', f'--json={out}', '--quick', '--rounds=1'])
    record = json.loads(out.read_text())
    assert record['frame_size'] == [32, 24] and record['points'] > 100
    for name in ('one_camera', 'two_cameras'):
        assert record[name]['frames_per_s'] > 0
        assert record[name]['covered'] > 0
