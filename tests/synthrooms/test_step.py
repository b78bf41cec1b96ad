import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.preparation.sources.scans.scan import DETECTION_CLASSES
from sam3d_plugin.store.posed_images import PosedImages
from sam3d_plugin.store.shards import Shard
from sam3d_plugin.synthrooms import SynthOptions, SynthRoomsStep, write_lists
from sam3d_plugin.synthrooms.step import class_notes

TINY = SynthOptions(num_frames=2, size=(48, 64))
ROOT = Path(__file__).resolve().parents[2]

EVERYTHING = Shard()


def make(out, num_train, shard=EVERYTHING):
    step = SynthRoomsStep(5, num_train, 0, TINY)
    run_step(step, out, RunOptions(shard, workers=0))
    return write_lists(step, out)


def contents(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob('*') if path.is_file()
    }


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two scenes made at once."""
    out = tmp_path_factory.mktemp('once')
    make(out, 2)
    return out


def test_every_byte_follows_from_the_seed(folder, tmp_path):
    # One scene after the other, the second one first, in two shards.
    missing = make(tmp_path, 2, Shard(1, 2))
    assert 'scene0000_00' in missing[0]
    make(tmp_path, 2, Shard(0, 2))
    first, second = contents(folder), contents(tmp_path)
    assert first == second
    # A run that has nothing to do leaves all as it is.
    make(tmp_path, 2)
    assert contents(tmp_path) == first


def test_infos_have_mmdet3ds_form(folder):
    content = pickle.loads((folder / 'scannet_infos_train.pkl').read_bytes())
    assert content['metainfo']['dataset'] == 'scannet'
    assert list(content['metainfo']['categories']) == list(DETECTION_CLASSES)
    assert len(content['data_list']) == 2
    for info in content['data_list']:
        name = info['lidar_points']['lidar_path']
        points = np.fromfile(folder / 'points' / name, '<f4').reshape(-1, 6)
        for key in ('instance', 'semantic'):
            path = info[f'pts_{key}_mask_path']
            mask = np.fromfile(folder / f'{key}_mask' / path, '<i8')
            assert len(mask) == len(points)
        matrix = np.array(info['axis_align_matrix'])
        assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3))
        assert 0 < len(info['instances']) <= 64
        for instance in info['instances']:
            assert len(instance['bbox_3d']) == 6
            assert instance['bbox_label_3d'] in range(18)


def test_frames_are_read_by_the_store(folder):
    images = PosedImages(folder / 'posed_images')
    assert images.scans() == ['scene0000_00', 'scene0001_00']
    frame = images.read('scene0001_00', '00001')
    assert frame.color.shape == (48, 64, 3) and frame.depth.any()


def test_lists_are_written(folder):
    lines = (folder / 'splits' / 'train_10.txt').read_text().split()
    assert len(lines) == 1
    assert (folder / 'scannet_infos_train_10.pkl').exists()
    assert (folder / 'seg_info' / 'train_10_label_weight.npy').exists()


def test_rare_classes_are_named():
    scene = dict(boxes={name: 1 for name in DETECTION_CLASSES})
    assert class_notes([scene] * 3) == []
    rare = class_notes([scene, scene, dict(boxes=dict(chair=4))])
    assert 'toilet 2' in rare[0] and 'chair' not in rare[0]


def test_the_tool_knows_its_sizes(capsys):
    spec = importlib.util.spec_from_file_location(
        'make_synthrooms', ROOT / 'tools/preparation/make_synthrooms.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    step = tool.build_step(tool.parse_args(['--size', 'mini', '--out', 'x']))
    assert (step.num_train, step.num_val) == (60, 20)
    assert step.options.num_frames == 12 and step.options.size == (240, 320)
    args = '--scenes 0 --out x'.split()
    assert tool.main(args) == 1
    assert 'start at 1' in capsys.readouterr().err
