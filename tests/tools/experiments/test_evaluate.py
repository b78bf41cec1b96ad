"""Several seeds of an arm: commands, records, resuming."""
import contextlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from sam3d_plugin.engine import options as engine_options
from sam3d_plugin.experiments import evaluation_runs, records, steps
from sam3d_plugin.store import provenance
from tests.conftest import write_scannet
from tests.tools.conftest import load_tool
from .evaluation_cases import CONFIG, ROOT, Commands, record, run

MINI = str(ROOT / 'configs/sam3d/votenet_scannet_mini.py')
TWO_BOXES = str(ROOT / 'configs/sam3d/votenet_scannet_2boxes.py')
SEGMENTOR = str(ROOT / 'configs/sam3d/segmentor_scannet_mini.py')


@pytest.fixture
def commands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write_scannet(tmp_path / 'rooms')
    fake = Commands()
    monkeypatch.setattr(steps, 'run_steps', fake)
    return fake


def test_an_arm_leaves_its_row_for_the_board(commands):
    options = [
        'model.bbox_head.num_classes=18',
        "model.backbone.init_cfg=dict(type='Pretrained', "
        "checkpoint='encoder.pth')"
    ]
    Path('encoder.pth').write_bytes(b'0')
    run('results/votenet', '--seeds', 0, 1, options=options)
    row = json.loads(Path('results/votenet/row.json').read_text())
    assert row['trainings'] == 2 and row['kind'] == 'pretrained'
    assert row['scores']['mAP_0.25'] == dict(mean=50., std=0.)
    assert row['options'] == {'model.bbox_head.num_classes': '18'}
    assert row['encoders'][0]['file'] == 'encoder.pth'
    assert row['scored_on'] == {
        'scannet_infos_val.pkl':
        record('results/votenet', 0)['data']['scannet_infos_val.pkl']
    }
    assert [r['seed']
            for r in records.read_records(Path('results/votenet'))] == [0, 1]


def test_every_seed_trains_once_and_leaves_a_record(commands):
    run('results/votenet', '--seeds', 0, 1, '--evaluations', 2)
    trainings = commands.of(steps.TRAIN)
    assert [s.output for s in trainings] == [
        f'work_dirs/evaluate/votenet/seed_{seed}/epoch_36.pth'
        for seed in (0, 1)
    ]
    assert 'randomness.seed=1' in trainings[1].command
    assert 'default_hooks.checkpoint.save_best=mAP_0.25' in str(trainings[0])
    assert len(commands.of(steps.TEST)) == 2 * 2 * 2
    found = record('results/votenet', 1)
    assert found['seed'] == 1 and found['kind'] == 'fresh'
    assert found['config'] == 'votenet_scannet'
    assert [s['mAP_0.25'] for s in found['scores']['last']] == [.5, .52]
    assert found['scores']['best'][0]['mAP_0.25'] == .6
    assert found['checkpoints']['last'] == 'epoch_36.pth'
    assert found['commit'] and found['hardware']['cores']
    assert found['seconds']['training'] is not None
    assert found['data']['scannet_infos_val.pkl'] == provenance.file_digest(
        Path('rooms/scannet_infos_val.pkl'))
    hashes = {record('results/votenet', s)['config_hash'] for s in (0, 1)}
    assert len(hashes) == 2  # the seed is a setting


def test_goes_on_where_it_was_broken_off(commands):
    commands.fail_at = 3
    with pytest.raises(SystemExit):
        run('results/a', '--seeds', 0, 1)
    assert not Path('results/a/seed_1.json').exists()
    commands.fail_at = None
    run('results/a', '--seeds', 0, 1)
    assert len(commands.of(steps.TRAIN)) == 2
    done = len(commands.ran)
    run('results/a', '--seeds', 0, 1)
    assert len(commands.ran) == done


def test_other_settings_or_data_are_not_mixed(commands):
    run('results/a', '--seeds', 0)
    with pytest.raises(ValueError, match='another evaluations .1, now 2'):
        run('results/a', '--seeds', 0, '--evaluations', 2)
    with pytest.raises(ValueError, match='another config_hash'):
        run('results/a', '--seeds', 0, config=MINI)
    Path('rooms/scannet_infos_val.pkl').write_bytes(b'other')
    with pytest.raises(ValueError, match='another data'):
        run('results/a', '--seeds', 0)


def test_one_validation_at_the_end_has_no_best_epoch(commands):
    run('results/mini', '--seeds', 0, config=MINI)
    assert 'save_best' not in str(commands.of(steps.TRAIN)[0])
    assert list(record('results/mini', 0)['scores']) == ['last']


def test_existing_checkpoints_are_only_evaluated(commands):
    with pytest.raises(ValueError, match='x.pth of --checkpoints is missing'):
        run('results/a', '--seeds', 4, '--checkpoints', 'x.pth')
    for name in 'xy':
        Path(f'{name}.pth').write_bytes(name.encode())
    run('results/a', '--seeds', 4, 5, '--checkpoints', 'x.pth', 'y.pth')
    assert not commands.of(steps.TRAIN)
    assert [s.command[3]
            for s in commands.of(steps.TEST)] == ['x.pth', 'y.pth']
    assert record('results/a', 4)['seconds']['training'] is None


def test_other_checkpoints_are_evaluated_again(commands):
    """Not taken for those of the same name that were evaluated before."""
    for folder in 'abc':
        Path(folder).mkdir()
        Path(folder, 'epoch_36.pth').write_bytes(folder.encode())
    Path('c/epoch_36.pth').write_bytes(b'a')

    def evaluate_one(out, folder):
        before = len(commands.ran)
        run(out, '--seeds', 0, '--checkpoints', f'{folder}/epoch_36.pth')
        return len(commands.ran) - before

    assert evaluate_one('results/arm', 'a') == 1
    assert evaluate_one('other/arm', 'b') == 1
    # The same weights under another name.
    assert evaluate_one('results/arm', 'c') == 0
    with pytest.raises(ValueError, match='another checkpoint'):
        evaluate_one('results/arm', 'b')
    with pytest.raises(ValueError, match='another checkpoint'):
        run('results/arm', '--seeds', 0)
    mark = record('results/arm', 0)['checkpoint']
    assert mark['sha256'] == provenance.digest(b'a')


def test_trainings_of_other_settings_are_not_evaluated(commands):
    """They share a work directory where the arms' folders share a name."""
    Path('encoder.pth').write_bytes(b'weights')
    run('full/fresh', '--seeds', 0)
    ran = len(commands.ran)
    shutil.copy('rooms/scannet_infos_train.pkl',
                'rooms/scannet_infos_train_10.pkl')
    with pytest.raises(
            ValueError,
            match='votenet_scannet., now .votenet_scannet_2boxes'
            '.*Choose another --work-dir, or remove'):
        run('boxes/fresh', '--seeds', 0, config=TWO_BOXES)
    lr = 'optim_wrapper.optimizer.lr'
    with pytest.raises(ValueError, match=f'options.{lr} None, now .0.1'):
        run('lr/fresh', '--seeds', 0, options=[f'{lr}=0.1'])
    with pytest.raises(ValueError, match='best None, now .mAP_0.50'):
        run('best/fresh', '--seeds', 0, '--best', 'mAP_0.50')
    with pytest.raises(ValueError, match='start None, now .*encoder.pth'):
        run('start/fresh', '--seeds', 0, options=['load_from=encoder.pth'])
    assert len(commands.ran) == ran
    run('boxes/fresh', '--seeds', 0, '--work-dir', 'other', config=TWO_BOXES)
    assert len(commands.of(steps.TRAIN)) == 2
    # The same settings elsewhere: the training is found again.
    Path('full/fresh/seed_0.json').unlink()
    run('again/fresh', '--seeds', 0)
    assert len(commands.of(steps.TRAIN)) == 2
    Path('rooms/scannet_infos_train.pkl').write_bytes(b'other')
    with pytest.raises(ValueError, match='data.scannet_infos_train.pkl .*now'):
        run('data/fresh', '--seeds', 0)


def test_half_a_training_is_not_resumed_with_other_settings(commands):
    commands.fail_at = 0
    with pytest.raises(SystemExit):
        run('results/a', '--seeds', 0)
    folder = Path('work_dirs/evaluate/a/seed_0')
    # Nothing is lost: it ended before its first checkpoint.
    with pytest.raises(SystemExit):
        run('results/a', '--seeds', 0, config=MINI)
    torch.save({}, folder / 'epoch_1.pth')
    with pytest.raises(ValueError, match='votenet_scannet_mini., now'):
        run('results/a', '--seeds', 0)


def test_checkpoints_of_unknown_settings_are_refused(commands):
    folder = Path('work_dirs/evaluate/a/seed_0')
    folder.mkdir(parents=True)
    torch.save({}, folder / 'epoch_36.pth')
    with pytest.raises(ValueError, match='nothing says of which settings'):
        run('results/a', '--seeds', 0)
    assert not commands.ran


def test_record_names_every_commit_that_made_it(commands, monkeypatch):
    """Training, resumed training, and evaluation."""
    for commit, fail_at in (('abc', 0), ('def', 0), ('abc', 1),
                            ('fed-dirty', None), ('later', None)):
        monkeypatch.setattr(provenance, 'commit', lambda name=commit: name)
        commands.fail_at = fail_at
        with contextlib.suppress(SystemExit):
            run('results/a', '--seeds', 0)
        # What is left of a training that was stopped.
        torch.save({}, 'work_dirs/evaluate/a/seed_0/epoch_1.pth')
    assert record('results/a', 0)['commit'] == 'abc, def, fed-dirty'


def test_regions_are_data(commands):
    """They are a model's input where its tokens are regions."""
    run('results/a', '--seeds', 0)
    marks = record('results/a', 0)['data']
    names = [f'regions of scannet_infos_{s}.pkl' for s in ('train', 'val')]
    assert marks[names[0]] == marks[names[1]] != None  # noqa: E711
    path = Path('rooms/regions/a.npz')
    content = path.read_bytes()
    path.write_bytes(content + b'other')
    with pytest.raises(ValueError, match='another data'):
        run('results/a', '--seeds', 0)
    path.unlink()
    cfg = evaluation_runs.read_settings(
        load_tool('experiments/evaluate').parse_args(
            [CONFIG, '--out', 'x', '--cfg-options', 'data_root=rooms/']), 0)
    assert records.data_checksums(cfg)[names[0]] is None


def test_regions_that_no_pipeline_reads_are_no_data(commands):
    cfg = evaluation_runs.read_settings(
        load_tool('experiments/evaluate').parse_args(
            [CONFIG, '--out', 'x', '--cfg-options', 'data_root=rooms/']), 0)
    with_regions = records.data_checksums(cfg)
    for loader in (cfg.train_dataloader.dataset, cfg.test_dataloader):
        loader.dataset.pipeline = [
            step for step in loader.dataset.pipeline
            if step.type != 'LoadRegionIds'
        ]
    assert records.data_checksums(cfg) == {
        name: mark
        for name, mark in with_regions.items() if 'regions' not in name
    }


def test_evaluations_of_a_segmentor_draw_other_samples(commands):
    run('results/a', '--seeds', 3, '--evaluations', 2, config=SEGMENTOR)
    tests = [as_tool_reads(step) for step in commands.of(steps.TEST)]
    assert [cfg.model.test_cfg.seed for cfg in tests] == [0, 1]


def as_tool_reads(step):
    """The config of a test, with options that tools/test.py accepts."""
    return engine_options.load_config(
        load_tool('test').parse_args(step.command[2:]))


def test_evaluations_of_a_detector_draw_other_samples(commands):
    run('results/a', '--seeds', 3, '--evaluations', 2, config=MINI)
    seeds = [{
        step.get('seed')
        for step in as_tool_reads(test).test_dataloader.dataset.pipeline
        if step.type == evaluation_runs.SEEDED
    } for test in commands.of(steps.TEST)]
    assert seeds == [{0}, {1}]


def test_every_seed_may_have_its_own_labels(commands):
    content = Path('rooms/scannet_infos_train.pkl').read_bytes()
    for seed in (0, 1):
        Path(f'rooms/scannet_infos_train_10_seed{seed}.pkl').write_bytes(
            content + b' ' * seed)
        Path(f'start_{seed}.pth').write_bytes(b'weights %d' % seed)
    name = 'train_dataloader.dataset.dataset'
    run('results/a',
        '--seeds',
        0,
        1,
        options=[
            f'{name}.ann_file=scannet_infos_train_10_seed{{seed}}.pkl',
            f'+{name}.pipeline.0.seed={{seed}}', 'load_from=start_{seed}.pth'
        ])
    for seed, step in enumerate(commands.of(steps.TRAIN)):
        assert f'{name}.ann_file=scannet_infos_train_10_seed{seed}' in (
            str(step))
        cfg = steps_config(step)
        assert cfg.load_from == f'start_{seed}.pth'
        assert cfg.train_dataloader.dataset.dataset.pipeline[0].seed == seed
        found = record('results/a', seed)
        assert found['start']['sha256'] == provenance.digest(b'weights %d' %
                                                             seed)
    assert len(records.read_records(Path('results/a'))) == 2
    changed = record('results/a', 1)
    changed['data']['scannet_infos_val.pkl'] = 'other'
    records.write_record(Path('results/a/seed_1.json'), changed)
    with pytest.raises(ValueError, match=r'scannet_infos_val.pkl'):
        records.read_records(Path('results/a'))


def test_seeds_of_one_list_share_it(commands):
    run('results/a', '--seeds', 0, 1)
    changed = record('results/a', 1)
    changed['data']['scannet_infos_train.pkl'] = 'other'
    records.write_record(Path('results/a/seed_1.json'), changed)
    with pytest.raises(ValueError, match=r'scannet_infos_train.pkl'):
        records.read_records(Path('results/a'))


def steps_config(step):
    """The config that a command of a step will see."""
    args = load_tool('experiments/evaluate').parse_args([
        CONFIG, '--out', 'x', *step.command[step.command.index('--cfg-opt'
                                                               'ions'):]
    ])
    return engine_options.read_config(CONFIG, args.cfg_options)


@pytest.mark.parametrize('arguments',
                         [['--seeds', 0, 1, '--checkpoints', 'x'],
                          ['--seeds', 1, 1], ['--evaluations', 0]])
def test_arguments_that_do_not_fit(commands, arguments):
    with pytest.raises(SystemExit):
        run('results/a', *arguments)


def test_pretrained_arms_name_their_encoder(commands, tmp_path):
    Path('encoder.pth').write_bytes(b'weights')
    evaluation_runs.run(
        load_tool('experiments/evaluate').parse_args([
            CONFIG, '--out', 'results/p', '--seeds', '0', '--cfg-options',
            'data_root=rooms/',
            "model.backbone.init_cfg=dict(type='Pretrained', "
            "checkpoint='encoder.pth')"
        ]))
    found = record('results/p', 0)
    assert found['kind'] == 'pretrained'
    assert found['encoder']['sha256'] == provenance.digest(b'weights')
    assert '--cfg-options' in commands.of(steps.TEST)[0].command


def test_every_seed_may_start_from_its_own_encoder(commands):
    for seed in (0, 1):
        Path(f'encoder_{seed}.pth').write_bytes(b'weights %d' % seed)
    evaluation_runs.run(
        load_tool('experiments/evaluate').parse_args([
            CONFIG, '--out', 'results/p', '--seeds', '0', '1', '--cfg-options',
            'data_root=rooms/',
            "model.backbone.init_cfg=dict(type='Pretrained', "
            "checkpoint='encoder_{seed}.pth')"
        ]))
    for seed in (0, 1):
        found = record('results/p', seed)['encoder']
        assert found['sha256'] == provenance.digest(b'weights %d' % seed)
        mine = [s for s in commands.ran if f'seed_{seed}/' in s.output]
        assert mine
        assert all(f'encoder_{seed}.pth' in str(step) for step in mine)
    assert len(records.read_records(Path('results/p'))) == 2
    for seed in (0, 1):
        records.write_record(
            Path('results/p', f'seed_{seed}.json'),
            dict(record('results/p', seed), options=dict(a='b')))
    with pytest.raises(ValueError, match='differ in encoder'):
        records.read_records(Path('results/p'))


def test_hash_does_not_depend_on_where_the_data_lies(commands, tmp_path):
    from sam3d_plugin.engine.options import read_config
    hashes = {
        records.config_hash(read_config(CONFIG, dict(data_root=root)))
        for root in ('rooms/', str(tmp_path / 'rooms') + '/')
    }
    assert len(hashes) == 1
    changed = read_config(CONFIG, {'model.test_cfg.nms_thr': .3})
    assert records.config_hash(changed) not in hashes
