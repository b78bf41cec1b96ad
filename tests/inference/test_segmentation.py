"""A segmentor on scans without annotations: a class for every point."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from plyfile import PlyData

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.inference import Predictor
from sam3d_plugin.preparation.sources.scans.scan import NYU40_IDS
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 read_scan)
from tests.conftest import write_scannet
from tests.inference.test_predictor import (predict_by_tool, save_model,
                                            write_scan)
from tests.random_states import unchanged_random_state

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'sam3d'


@pytest.fixture(autouse=True)
def forget_logger():
    """The quiet logger must not become that of other tests."""
    yield
    MMLogger._instance_dict.pop('predict', None)


def make_files(name, folder):
    """Config and random weights of a small segmentor."""
    cfg = read_config(
        str(CONFIGS / f'{name}.py'), {
            'model.backbone.tokenizer.num_tokens': 64,
            'model.decode_head.hidden_channels': (32, 16),
            'model.test_cfg.num_points': 1024,
        })
    return save_model(cfg, folder)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return make_files('segmentor_scannet_mini',
                      tmp_path_factory.mktemp('segmentor'))


@pytest.fixture(scope='module')
def segment(files):
    predictor = Predictor(*files)
    assert predictor.is_segmentor
    MMLogger._instance_dict.pop('predict', None)
    return predictor.segment


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    """The room 'a' of write_scannet: xyz, rgb and its octants."""
    root = tmp_path_factory.mktemp('room')
    write_scannet(root, ('a', ))
    points = np.fromfile(root / 'points' / 'a.bin', np.float32)
    xyz, rgb = np.hsplit(points.reshape(-1, 6), 2)
    return xyz, rgb, 1 + (xyz > np.median(xyz, axis=0)) @ np.array([1, 2, 4])


def test_every_point_gets_the_class_of_the_highest_score(
        segment, room, tmp_path):
    scan = write_scan(tmp_path / 'a.npz', *room)
    with unchanged_random_state():
        found = segment(scan)
    assert found.labels.shape == found.confidences.shape == (2048, )
    assert found.tokens == 'sam 64 (split regions)'
    assert sum(found.counts.values()) == 2048 == len(found)
    assert found.classes[:2] == ('wall', 'floor')
    assert found.palette[0] == [174, 199, 232] and len(found.palette) == 20
    predictor = segment.__self__
    head = predictor.model.decode_head
    assert (1 / 20 <= found.confidences).all()
    again = segment(room[0], region_ids=room[2])
    assert (segment(scan).labels == found.labels).all()
    # Whatever its name is, the same points get the same labels.
    assert again.scan != found.scan
    assert (again.labels == found.labels).all()
    assert head.propagation == 'own_token'


def test_scan_without_regions_gets_knn_tokens(segment, room):
    """Which need the other propagation, and only for this scan."""
    head = segment.__self__.model.decode_head
    found = segment(room[0])
    assert 'knn 64×32 (the scan has no regions' in found.tokens
    assert head.propagation == 'three_nn'
    segment(room[0], region_ids=room[2])
    assert head.propagation == 'own_token'


def test_s3dis(room, tmp_path):
    """Several annotation files, sliding blocks, no regions needed."""
    xyz = room[0][(room[0][:, :2] < 1.7).all(axis=1)]
    files = make_files('segmentor_s3dis_mini', tmp_path)
    with unchanged_random_state():
        predictor = Predictor(*files)
        found = predictor.segment(xyz)
    assert len(found) == len(xyz) and found.classes[0] == 'ceiling'
    assert found.palette[0] == [0, 255, 0]


def test_detectors_and_segmentors_are_told_apart(files, segment, room):
    with pytest.raises(ValueError, match='not a detector'):
        segment.__self__(room[0])


def test_pipeline_that_leaves_out_points(files, room, tmp_path):
    cfg = read_config(files[0], {})
    cfg.test_dataloader.dataset.pipeline.insert(
        -1, dict(type='SeededPointSample', num_points=1500))
    cfg.dump(str(tmp_path / 'sampled.py'))
    predictor = Predictor(str(tmp_path / 'sampled.py'), files[1])
    with pytest.raises(ValueError, match='2048 points.*kept 1500'):
        predictor.segment(room[0])


def test_command_line_writes_what_was_found(files, room, tmp_path, capsys):
    path = str(write_scan(tmp_path / 'a.ply', *room))
    assert predict_by_tool(*files, path, '--out', str(tmp_path / 'out')) == 0
    assert 'a: 2048 points of ' in capsys.readouterr().out
    out = tmp_path / 'out'
    found = json.loads((out / 'a.json').read_text())
    assert sum(kind['points'] for kind in found['found'].values()) == 2048
    vertices = PlyData.read(str(out / 'a.ply'))['vertex']
    assert vertices['class_index'].tolist() == found['labels']
    # What import_scans.py reads from it are the same classes.
    read = read_scan(out / 'a.ply', ReadOptions(without_color=True))
    names = np.array(found['classes'])[found['labels']]
    assert read.semantic.tolist() == [NYU40_IDS[name] for name in names]
    assert (out / 'a.png').read_bytes().startswith(b'\x89PNG')
    name = next(iter(found['found']))
    assert name in (out / 'a.html').read_text()


def test_checkpoint_of_a_detector(files, tmp_path):
    content = torch.load(files[1])
    cfg = read_config(str(CONFIGS / 'votenet_scannet_mini.py'), {})
    content['meta']['cfg'] = cfg.pretty_text
    torch.save(content, tmp_path / 'votenet.pth')
    with pytest.raises(
            ValueError, match='model with VoteNet.*with PointTokenSegmentor'):
        Predictor(files[0], str(tmp_path / 'votenet.pth'))


def test_command_line_keeps_map_coordinates(files, room, tmp_path):
    """The same labels wherever the scan lies, at exactly its points."""
    xyz = np.round(room[0].astype(np.float64) * 1024) / 1024
    utm = np.array([451234., 5411876., 312.])
    labels = {}
    for name, move in (('near', np.zeros(3)), ('far', utm)):
        path = tmp_path / name / 'a.npz'
        path.parent.mkdir()
        np.savez(path, xyz=xyz + move, rgb=room[1], region=room[2])
        out = tmp_path / f'{name}_out'
        assert predict_by_tool(*files, str(path), '--out', str(out)) == 0
        vertices = PlyData.read(str(out / 'a.ply'))['vertex']
        points = np.stack([vertices[axis] for axis in 'xyz'], 1)
        assert np.array_equal(points, xyz + move)
        labels[name] = vertices['class_index']
    assert (labels['near'] == labels['far']).mean() > .99
