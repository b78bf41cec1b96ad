"""The Python interface: its examples run, one after the other."""
import doctest
import importlib
from pathlib import Path

import mmengine
import numpy as np
import pytest
from mmengine.logging import MMLogger
from rich.console import Console

import sam3d_plugin
from sam3d_plugin import api
from sam3d_plugin.models import PointTokenBackbone
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import StoreError, UserError
from sam3d_plugin.synthrooms import SynthOptions
from sam3d_plugin.synthrooms.step import SynthRoomsStep, write_lists
from sam3d_plugin.visualization.html import save_html
from sam3d_plugin.visualization.ply import write_ply
from tests.short_runs import forget_runs, short_start


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """A folder with two rooms of two small frames each, and a file of one."""
    folder = tmp_path_factory.mktemp('world')
    step = SynthRoomsStep(0, 1, 1, SynthOptions(num_frames=2, size=(96, 128)))
    rooms = folder / 'data' / 'rooms'
    run_step(step, rooms, RunOptions(workers=0), Console(quiet=True))
    write_lists(step, rooms)
    scan = sorted((rooms / 'points').glob('*.bin'))[0]
    points = np.fromfile(scan, np.float32).reshape(-1, 6)
    for name, scale in (('room', 1), ('room_mm', 1000)):
        write_ply(folder / f'{name}.ply', points[:, :3] * scale,
                  points[:, 3:].astype('u1'))
    return folder


@pytest.fixture(autouse=True)
def here(world, monkeypatch):
    monkeypatch.chdir(world)
    # mmengine leaves it behind; it must not reach the next test.
    monkeypatch.setenv('LOCAL_RANK', '0')
    yield
    MMLogger._instance_dict.pop('predict', None)
    forget_runs()


EXAMPLES = dict(
    pretrain=api.pretrain,
    from_pretrained=PointTokenBackbone.from_pretrained,
    finetune=api.finetune,
    Predictor=sam3d_plugin.Predictor,
    SceneOptions=sam3d_plugin.SceneOptions,
    save_html=save_html)


class LastLines(doctest.OutputChecker):
    """Trainings print lines of their logs before the result."""

    def check_output(self, want, got, optionflags):
        return got.endswith(want)


def run_example(name):
    """Run the example of a docstring; returns how much was run."""
    runner = doctest.DocTestRunner(LastLines(), verbose=False)
    tests = doctest.DocTestFinder(recurse=False).find(
        EXAMPLES[name], name, globs={})
    report = []
    for test in tests:
        runner.run(test, out=report.append)
    assert not runner.failures, ''.join(report)
    return runner.tries


def test_every_public_object_has_an_example():
    assert set(sam3d_plugin.PUBLIC) < set(EXAMPLES)
    for name, place in sam3d_plugin.PUBLIC.items():
        module = importlib.import_module(f'sam3d_plugin.{place}')
        assert getattr(sam3d_plugin, name) is getattr(module, name)


@pytest.mark.timeout(1200)
def test_examples_run_from_frames_to_boxes(world):
    """In their order: each reads what the one before has written."""
    with short_start():
        for name in EXAMPLES:
            assert run_example(name) >= 2, name
            forget_runs()
    assert (world / 'box.html').stat().st_size > 1e5
    encoder = world / 'work_dirs' / 'pretraining' / 'encoder'
    card = (encoder / 'README.md').read_text()
    assert 'handcrafted; license: no weights' in card
    assert 'superpixel; license: no weights' in card
    config = (encoder / 'pretraining.py').read_text()
    assert 'stage1/iter_2.pth' in config and 'data/rooms' in config
    infos = mmengine.load('data/rooms/scannet_infos_train.pkl')['data_list']
    assert infos[0]['pts_region_path'] in {
        path.name
        for path in Path('data/rooms/regions').iterdir()
    }
    with pytest.raises(UserError, match="'handcrafted', now 'standin'"):
        api.pretrain('data/rooms', 'standin', steps=2)
    with pytest.raises(
            StoreError,
            match='remove .*region_features and .*region_groups') as info:
        api.pretrain('data/rooms', 'standin', out='work_dirs/other')
    assert '--' not in str(info.value)
    with pytest.raises(UserError, match='other settings'):
        api.finetune(None, 'data/rooms', steps=2)


def test_what_was_made_of_other_settings_is_refused(world):
    (work := world / 'claimed').mkdir()
    api._claim(work, dict(config='a', options=dict(data_root='typo')))
    api._claim(work, dict(config='a', options=dict(steps=2, tuple=(1, ))))
    (work / 'iter_2.pth').touch()
    api._claim(work, dict(config='a', options=dict(steps=2, tuple=(1, ))))
    with pytest.raises(UserError, match='steps 2, now 3'):
        api._claim(work, dict(config='a', options=dict(steps=3, tuple=(1, ))))
    (unknown := world / 'unknown').mkdir()
    (unknown / 'iter_2.pth').touch()
    with pytest.raises(UserError, match='unknown settings'):
        api._claim(unknown, {})


@pytest.mark.parametrize('infos', ['sunrgbd_infos_train.pkl', ''])
def test_frames_of_the_train_set_are_trained_on(tmp_path, monkeypatch, infos):
    (tmp_path / (infos or 'other.pkl')).touch()
    (tmp_path / 'posed_images').mkdir()
    seen = []

    def prepare(root, teacher, infos):
        seen.append(infos)
        return 3

    def train(config, work_dir, options):
        seen.append(options['train_dataloader.dataset.ann_file'])
        return api.Trained('config', 'checkpoint')

    monkeypatch.setattr(api, '_prepare_frames', prepare)
    monkeypatch.setattr(api, '_train', train)
    monkeypatch.setattr(api, 'export_backbone', lambda *_: None)
    api.pretrain(tmp_path, out=tmp_path / 'out')
    assert seen == [infos] * 3


def test_what_is_missing_is_said(world):
    with pytest.raises(UserError, match='no posed_images'):
        api.pretrain(world / 'none')
    with pytest.raises(UserError, match='teacher dinov3.pth is missing'):
        api.pretrain('data/rooms', 'dinov3.pth')
    rooms = Path('data/rooms')
    before = sorted(rooms.iterdir())
    for wrong in (dict(steps=1), dict(options={'model.headd': 1})):
        with pytest.raises(UserError, match='too few|headd'):
            api.pretrain(rooms, 'handcrafted', 'work_dirs/wrong', **wrong)
    assert sorted(rooms.iterdir()) == before
    with pytest.raises(UserError, match='too few'):
        api.finetune(None, 'data/rooms', steps=1)
    with pytest.raises(FileNotFoundError, match='config'):
        api.finetune(None, 'data/rooms', config='votenet')


def test_save_html_takes_what_a_predictor_finds(world):
    points = np.eye(3).tolist()
    save_html(points, path=world / 'no_boxes.html')
    assert 'no_boxes' in (world / 'no_boxes.html').read_text()
    with pytest.raises(UserError, match='finite'):
        save_html(points, [[np.nan] * 7], world / 'bad.html')
