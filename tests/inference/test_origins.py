"""Detectors find the same objects wherever a scan's origin lies."""
import json
from dataclasses import replace

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image
from plyfile import PlyData

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.inference import (Predictor, read_scene, scene_of_arrays,
                                    write_detections, writers)
from sam3d_plugin.inference.origins import place_scan
from sam3d_plugin.inference.predictor import single_dataset
from tests.conftest import write_scannet
from tests.inference.test_predictor import (CONFIGS, save_model, small_config,
                                            write_scan)

FAR = np.array([50.0, 30.0, 7.0])
ALIGNED = [dict(type='LoadPointsFromFile'), dict(type='GlobalAlignment')]


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    """The room 'a' of write_scannet: xyz, rgb and its octants."""
    root = tmp_path_factory.mktemp('room')
    write_scannet(root, ('a', ))
    points = np.fromfile(root / 'points' / 'a.bin', np.float32)
    xyz, rgb = np.hsplit(points.reshape(-1, 6).astype(np.float64), 2)
    return xyz, rgb, 1 + (xyz > np.median(xyz, axis=0)) @ np.array([1, 2, 4])


@pytest.fixture(scope='module')
def predict(tmp_path_factory):
    files = save_model(small_config(), tmp_path_factory.mktemp('votenet'))
    predictor = Predictor(*files)
    MMLogger._instance_dict.pop('predict', None)
    return predictor


@pytest.mark.parametrize('move', [FAR, (0, 0, -1.4), (3, 0, 0)])
def test_same_boxes_wherever_the_origin_lies(predict, room, move):
    xyz, rgb, regions = room
    here = predict(xyz, rgb, regions, score_thr=0.)
    there = predict(xyz + move, rgb, regions, score_thr=0.)
    assert len(here) == len(there) > 0
    assert here.boxes.names == there.boxes.names
    np.testing.assert_allclose(
        there.boxes.boxes[:, :3] - move, here.boxes.boxes[:, :3], atol=1e-3)
    np.testing.assert_allclose(
        there.boxes.boxes[:, 3:], here.boxes.boxes[:, 3:], atol=1e-3)
    np.testing.assert_allclose(
        there.boxes.scores, here.boxes.scores, atol=1e-3)
    assert sum('moved by' in note for note in there.notes) == 1


def test_files_are_in_the_coordinates_of_the_scan(predict, room, tmp_path,
                                                  monkeypatch):
    # The page packs its numbers: look at what it is made from.
    pages = []
    monkeypatch.setattr(writers, 'write_scene_html',
                        lambda _, scene, *__: pages.append(scene))
    xyz, rgb, regions = room
    paths, centers, notes = [], [], []
    for name, move in (('here', 0 * FAR), ('there', FAR)):
        path = write_scan(tmp_path / f'{name}.npz', xyz + move, rgb, regions)
        scan = replace(read_scene(path), name='a')
        found = predict(scan, score_thr=0.)
        paths.append(write_detections(found, tmp_path / name, max_boxes=9))
        content = json.loads(paths[-1]['json'].read_text())
        centers.append(np.array([box['center'] for box in content['boxes']]))
        notes.append(content['notes'])
        assert content['axis_align'] == np.eye(4).tolist()
        np.testing.assert_allclose(pages[-1].points, xyz + move)
        np.testing.assert_allclose(
            pages[-1].predicted.boxes[:, :3], centers[-1][:9], atol=1e-4)
    np.testing.assert_allclose(centers[1], centers[0] + FAR, atol=1e-3)
    assert len(notes[1]) == len(notes[0])
    assert 'moved by (-5' in notes[1][-1] and 'own coord' in notes[1][-1]
    here, there = (vertices_of(of_scan['ply']) for of_scan in paths)
    np.testing.assert_allclose(there[:len(xyz)], xyz + FAR, atol=1e-4)
    # Behind the points come the edges of the boxes.
    for at in (np.min, np.max):
        np.testing.assert_allclose(
            at(there[len(xyz):], axis=0),
            at(here[len(xyz):], axis=0) + FAR,
            atol=2e-3)
    here, there = (
        np.asarray(Image.open(of_scan['png']), np.float64)
        for of_scan in paths)
    assert here.shape == there.shape
    assert np.abs(here - there).mean() < 3


def vertices_of(path):
    """All vertices of a PLY file."""
    vertices = PlyData.read(str(path))['vertex']
    return np.stack([vertices[axis] for axis in 'xyz'], axis=1)


def test_far_scan_is_moved_before_float32(room):
    """At 4,000 km float32 keeps half a metre."""
    far = np.array([500000.0, 4e6, 100.0])
    scan = scene_of_arrays(room[0])
    placed, origin = place_scan(replace(scan, xyz=scan.xyz + far), ALIGNED)
    np.testing.assert_allclose(origin - far, place_scan(scan, ALIGNED)[1])
    np.testing.assert_allclose(
        placed.xyz, place_scan(scan, ALIGNED)[0].xyz, atol=1e-6)


def test_origin_is_that_of_pretraining(room):
    placed, origin = place_scan(scene_of_arrays(room[0] + FAR), ALIGNED)
    np.testing.assert_allclose(placed.xyz.mean(axis=0)[:2], 0, atol=1e-9)
    assert 0 <= (placed.xyz[:, 2] < 0).mean() < .01
    np.testing.assert_allclose(placed.xyz + origin, room[0] + FAR)


def test_note_says_how_far(room):
    """And has no minus where nothing was moved."""
    centered = place_scan(scene_of_arrays(room[0]), ALIGNED)[0].xyz
    moved, _ = place_scan(
        scene_of_arrays(centered + (1e-5, -1e-5, 3)), ALIGNED)
    assert 'moved by (0.00, 0.00, -3.00) m' in moved.notes[-1]


def test_small_moves_go_without_saying(room):
    scan, _ = place_scan(scene_of_arrays(room[0]), ALIGNED)
    again = replace(scan, xyz=scan.xyz + .1, notes=[])
    assert place_scan(again, ALIGNED)[0].notes == []


@pytest.mark.parametrize('how', ['matrix', 'file', 'aligned points'])
def test_scan_with_an_alignment_stays(room, tmp_path, how):
    """Also where the alignment is the identity."""
    key = 'xyz_aligned' if how == 'aligned points' else 'xyz'
    arrays = {key: room[0]}
    if how == 'matrix':
        arrays['axis_align_matrix'] = np.eye(4)
    if how == 'file':
        np.savetxt(tmp_path / 'a_axis_align.txt', np.eye(4))
    np.savez(tmp_path / 'a.npz', **arrays)
    scan = read_scene(tmp_path / 'a.npz')
    placed, origin = place_scan(scan, ALIGNED)
    assert (placed.xyz == scan.xyz).all() and not origin.any()
    assert placed.notes == scan.notes
    # One that leaves the floor in the air is doubted.
    lifted = replace(scan, xyz=scan.xyz + (0, 0, 1.4))
    assert 'floor at z = 1.' in place_scan(lifted, ALIGNED)[0].notes[-1]


@pytest.mark.parametrize('config, is_moved', [
    ('votenet_scannet', True),
    ('three_detr_synthrooms_mini', True),
    ('votenet_sunrgbd', False),
    ('segmentor_scannet', False),
    ('mmdet3d::votenet/votenet_8xb8_scannet-3d.py', True),
    ('mmdet3d::fcaf3d/fcaf3d_2xb8_sunrgbd-3d-10class.py', False),
])
def test_whose_scans_are_moved(room, tmp_path, config, is_moved):
    """Those of the configs that align their rooms, ours and mmdet3d's."""
    path = CONFIGS / f'{config}.py'
    if '::' in config:
        path = tmp_path / 'stock.py'
        path.write_text(f'_base_ = [{config!r}]')
    pipeline = single_dataset(read_config(str(path), {}))['pipeline']
    scan = scene_of_arrays(room[0] + FAR)
    placed, origin = place_scan(scan, pipeline)
    assert origin.any() == is_moved and (placed is not scan) == is_moved


@pytest.mark.parametrize('branches', [
    ALIGNED,
    [ALIGNED[:1], ALIGNED],
    [dict(type='mmdet3d.GlobalAlignment')],
])
def test_alignment_inside_a_branch_counts(room, branches):
    nested = [dict(type='MultiScaleFlipAug3D', transforms=branches)]
    assert place_scan(scene_of_arrays(room[0]), nested)[1].any()
