"""Bad input ends a pre-training in one sentence that says what to do."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sam3d_plugin.cli.tool import run_tool
from tests.datasets import frame_store
from . import pretraining_runs
from .conftest import load_tool


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Function that runs tools/train.py; returns status and last words."""
    monkeypatch.chdir(tmp_path)
    # mmengine leaves it behind; it must not reach the next test.
    monkeypatch.setenv('LOCAL_RANK', '0')
    pretraining_runs.write_configs(tmp_path)

    def run_it(stage, root, *arguments, options=()):
        tool = load_tool('train')
        run_it.count += 1
        args = tool.parse_args(
            pretraining_runs.arguments_of(stage, root,
                                          f'bad{run_it.count}{tmp_path.name}',
                                          options, arguments))
        status = run_tool(tool.main, args)
        shown = capsys.readouterr()
        run_it.shown = shown.out
        return status, shown.err.strip()

    run_it.count = 0
    return run_it


@pytest.fixture
def root(tmp_path):
    return frame_store.write_data_set(tmp_path / 'data')


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def assert_refused(result, *parts):
    """One line on stderr, with all parts."""
    status, said = result
    assert status == 2
    assert said.startswith('error: ') and '\n' not in said
    for part in parts:
        assert part in said
    # No wall of text, and a word on what to do.
    assert len(said) < 600


def write_features(root, change, channels):
    """Features and groups anew."""
    for name in ('region_features', 'region_groups'):
        shutil.rmtree(root / name)
    frame_store.write_region_features(root, change=change)
    frame_store.write_region_groups(root, channels=channels)


def other_settings(root):
    settings = dict(frame_store.SETTINGS, options=dict(count=7))
    edit(root / 'region_maps' / 'store.json', settings=settings)


def another_version(root):
    edit(root / 'region_features' / 'store.json', format_version=99)


def twice_as_wide(scan, frame, mean):
    return np.hstack([mean, mean])


def another_width_than_the_head(root):
    write_features(root, twice_as_wide, 6)


def another_width_in_one_scan(root):
    write_features(
        root, lambda scan, frame, mean: twice_as_wide(scan, frame, mean)
        if scan == 'beta' else mean, 3)


def nan_features(root):
    write_features(root, lambda scan, frame, mean: mean * np.float16(np.nan),
                   3)


def no_groups(root):
    shutil.rmtree(root / 'region_groups')


def no_group_file(root):
    (root / 'region_groups' / 'train' / 'groups.safetensors').unlink()


def no_groups_of_a_scan(root):
    (root / 'region_groups' / 'train' / 'beta.safetensors').unlink()


def no_regions_at_all(root):
    path = root / 'region_maps' / 'manifest.json'
    path.write_text(path.read_text().replace('"regions": 6', '"regions": 0'))


@pytest.mark.parametrize('break_data, parts', [
    (other_settings, ('different region maps', 'options.count 6, now 7',
                      'extract_features.py --out')),
    (another_version,
     ('region_features/store.json: format version 99', 'prepare the data')),
    (another_width_than_the_head,
     ('6 channels, the head 3', 'set out_channels=6 of RegionDistillHead')),
    (another_width_in_one_scan,
     ('alpha has features of 3 channels, beta of 6', 'with one encoder')),
    (nan_features, ('a value of', 'is NaN', 'extract_features.py again')),
    (no_groups, ('region_groups/train', 'missing', 'run', 'build_groups.py')),
    (no_group_file, ('groups.safetensors is missing', 'build_groups.py')),
    (no_groups_of_a_scan,
     ('beta.safetensors is missing', 'build_groups.py again')),
    (no_regions_at_all,
     ('no frame of 2 scan(s)', '0 region(s)', 'generate_regions.py')),
])
def test_bad_store(break_data, parts, root, train):
    break_data(root)
    assert_refused(train('stage1', root), *parts)
    assert not list(Path().glob('work_dirs/*/*.pth'))


def test_frames_without_regions_are_left_out_and_named(tmp_path, train):
    root = frame_store.write_data_set(
        tmp_path / 'data', skipped=[('alpha', '00001'), ('beta', '00002')])
    assert train('stage1', root) == (0, '')
    assert ': 4 frames of 2 scans; 2 skipped: alpha/00001' in train.shown
    assert '00002 has no region' in train.shown


def test_frames_with_one_region_train_in_both_stages(tmp_path, train,
                                                     monkeypatch):
    monkeypatch.setattr(frame_store, 'BANDS', 1)
    root = frame_store.write_data_set(tmp_path / 'data')
    assert train('stage1', root) == (0, '')
    options = ['teacher=work_dirs/stage1/iter_3.pth']
    assert train('stage2', root, options=options) == (0, '')
    # Their only token must be seen, so there is none to predict.
    assert 'loss_token: 0.0000' in train.shown


def test_bad_teacher(root, train):
    assert train('stage1', root) == (0, '')
    stage1 = Path('work_dirs/stage1/iter_3.pth')
    assert train('stage2', root, options=[f'teacher={stage1}']) == (0, '')
    stage2 = Path('work_dirs/stage2/iter_3.pth')
    state = torch.load(stage2, weights_only=False)['state_dict']
    assert not any('teacher' in n or 'target' in n for n in state)
    Path('half.pth').write_bytes(stage1.read_bytes()[:9999])
    advice = '--cfg-options teacher=FILE'
    deeper = ('model.backbone.encoder.depth=2',
              'model.decoder.transformer.depth=2')
    for teacher, options, parts in ((stage1, deeper[:1],
                                     ('differ in size', 'encoder.blocks.1',
                                      advice)), (stage1, deeper[1:],
                                                 ('differ in size',
                                                  'decoder.blocks.1', advice)),
                                    (stage2, (),
                                     ('masked tokens', 'checkpoint of stage 1',
                                      advice)), ('half.pth', (),
                                                 ('half.pth is truncated',
                                                  'copy it again')),
                                    ('none.pth', (), ('none.pth is missing',
                                                      advice))):
        options = [f'teacher={teacher}', *options]
        said = train('stage2', root, '--work-dir', 'w', options=options)
        assert_refused(said, *parts)
    assert not list(Path('w').glob('*.pth'))


def test_a_loss_that_turns_nan_stops_and_keeps_the_checkpoint(root, train):
    options = ['optim_wrapper.optimizer.lr=1e30', 'param_scheduler=[]']
    assert_refused(
        train('stage1', root, options=options), 'not finite at step 2',
        'loss_region nan', 'frames of the batch: frame 0000', 'of scan',
        'last complete checkpoint is', 'iter_1.pth (--resume)', 'verify.py',
        'lower the learning rate')
    assert [p.name
            for p in Path('work_dirs/stage1').glob('*.pth')] == ['iter_1.pth']
    assert_refused(
        train('stage1', root, '--resume', options=options), 'at step 2')
