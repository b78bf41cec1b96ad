"""Reading scans for prediction: files with any labels, and arrays."""
import json

import numpy as np
import pytest
import torch

from sam3d_plugin.inference import SceneOptions, read_scene, scene_of_arrays
from sam3d_plugin.inference.scenes import colors_of
from sam3d_plugin.preparation.sources.scans.scan import ScanError
from tests.inference.test_predictor import write_scan

RNG = np.random.default_rng(0)
XYZ = RNG.uniform((0, 0, 0), (4, 3, 2), (500, 3))
RGB = RNG.integers(0, 256, (500, 3)).astype(np.uint8)
REGIONS = RNG.integers(0, 9, 500)


@pytest.mark.parametrize('labels', [
    dict(label=np.full(500, -1)),
    dict(label=np.full(500, 100)),
    dict(label=np.full(500, 'chair')),
    dict(semantic=np.full(500, np.nan), instance=np.full(500, np.nan)),
    dict(instance=np.full(500, -1)),
    dict(instance=np.zeros((500, 2))),
    dict(bbox=np.ones((3, 8))),
    dict(bbox=np.full((3, 7), 99.)),
])
def test_labels_of_any_kind_are_not_looked_at(tmp_path, labels):
    np.savez(tmp_path / 'a.npz', xyz=XYZ, rgb=RGB, region=REGIONS, **labels)
    scan = read_scene(tmp_path / 'a.npz')
    np.testing.assert_array_equal(scan.xyz, XYZ)
    np.testing.assert_array_equal(scan.regions, REGIONS)
    assert scan.semantic is scan.instance is scan.boxes is None
    assert scan.notes[0] == f'not used: {", ".join(labels)}'


def test_boxes_beside_a_scan_are_not_looked_at(tmp_path):
    path = write_scan(tmp_path / 'a.ply', XYZ, RGB)
    box = dict(bbox=[0, 0, 0, 1, 1, 1], label='spaceship')
    (tmp_path / 'a.boxes.json').write_text(json.dumps([box]))
    (tmp_path / 'a.ply.boxes.json').write_text('JSON')
    assert read_scene(path).boxes is None


def test_region_ids_in_what_would_be_labels(tmp_path):
    np.savez(tmp_path / 'a.npz', xyz=XYZ, rgb=RGB, label=REGIONS)
    scan = read_scene(tmp_path / 'a.npz', SceneOptions(region_key='label'))
    np.testing.assert_array_equal(scan.regions, REGIONS)


def test_colors_from_0_to_1_as_in_files(tmp_path):
    np.savez(tmp_path / 'a.npz', xyz=XYZ, rgb=RGB / 255)
    from_file = read_scene(tmp_path / 'a.npz')
    from_array = scene_of_arrays(XYZ, RGB / 255)
    assert np.abs(colors_of(from_array).astype(int) - RGB).max() <= 1
    np.testing.assert_array_equal(from_array.rgb, from_file.rgb)
    assert from_array.notes == from_file.notes
    notes = scene_of_arrays(XYZ, RGB).notes
    assert not any('colo' in note for note in notes)


@pytest.mark.parametrize('convert', [
    lambda array: array.tolist(),
    lambda array: tuple(map(tuple, np.atleast_2d(array)))
    if array.ndim == 2 else tuple(array),
    torch.from_numpy,
])
def test_what_numpy_takes_is_a_scan(convert):
    scan = scene_of_arrays(convert(XYZ), convert(RGB), convert(REGIONS))
    np.testing.assert_array_equal(scan.xyz, XYZ)
    np.testing.assert_array_equal(scan.rgb, RGB)
    np.testing.assert_array_equal(scan.regions, REGIONS)


@pytest.mark.parametrize('arrays, message', [
    ((dict(xyz=XYZ), ), 'xyz is a dict'),
    (([[0, 1, 2], [3, 4]], ), 'xyz is a list'),
    (([['a', 'b', 'c']], ), 'xyz is a list'),
    ((torch.ones(5, 3, requires_grad=True), ), 'xyz is a Tensor .*grad'),
    ((None, ), 'xyz is a NoneType'),
    ((XYZ, 'red'), 'rgb is a str'),
    ((XYZ, RGB, REGIONS - 9), 'region id -. is negative'),
    ((XYZ, RGB, REGIONS + .5), 'integers'),
])
def test_what_is_no_array_of_a_scan(arrays, message):
    with pytest.raises(ScanError, match=message):
        scene_of_arrays(*arrays)


@pytest.mark.parametrize('rgb', [RGB * 2., RGB * np.nan])
def test_colours_that_cannot_be_read_stop_nothing(rgb):
    scan = scene_of_arrays(XYZ, rgb)
    assert colors_of(scan) is None
    assert any('mid-gray' in note for note in scan.notes)


def test_units_and_axis_of_arrays():
    lying = np.stack([XYZ[:, 0], XYZ[:, 2], -XYZ[:, 1]], axis=1)
    options = SceneOptions(scale=.001, up='y')
    scan = scene_of_arrays(1000 * lying, options=options)
    np.testing.assert_allclose(scan.xyz, XYZ)
