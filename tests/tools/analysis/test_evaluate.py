"""Several seeds of an arm: commands, records, resuming; then the table."""
import json
from pathlib import Path

import pytest
import torch

from tests.conftest import write_scannet
from tools import steps
from tools.analysis import compare, evaluate, run_records

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / 'configs/sam3d/votenet_scannet.py')
MINI = str(ROOT / 'configs/sam3d/votenet_scannet_mini.py')


class Commands:
    """Stands in for the tools: writes what they would, remembers what ran."""

    def __init__(self):
        self.ran, self.fail_at = [], None

    def __call__(self, wanted):
        for step in wanted:
            if step.is_done:
                continue
            if len(self.ran) == self.fail_at:
                raise SystemExit('stopped')
            self.ran.append(step)
            output = Path(step.output)
            output.parent.mkdir(parents=True, exist_ok=True)
            if step.command[1] == steps.TRAIN:
                torch.save({}, output)
                (output.parent / 'best_mAP_0.25_epoch_9.pth').touch()
            else:
                output.write_text(json.dumps(self.scores(step)))

    @staticmethod
    def scores(step):
        """Better for the best checkpoint, and for later evaluations."""
        text = str(step)
        score = .5 + .1 * ('best' in text) + .02 * ('pipeline.4.seed=1'
                                                    in text)
        return {'mAP_0.25': score, 'mAP_0.50': score / 2}

    def of(self, tool):
        return [step for step in self.ran if step.command[1] == tool]


@pytest.fixture
def commands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write_scannet(tmp_path / 'rooms')
    fake = Commands()
    monkeypatch.setattr(steps, 'run_steps', fake)
    return fake


def run(*arguments, config=CONFIG):
    evaluate.main(
        evaluate.parse_args([
            config, '--cfg-options', 'data_root=rooms/', '--out',
            *map(str, arguments)
        ]))


def record(arm, seed):
    return json.loads(Path(arm, f'seed_{seed}.json').read_text())


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
    assert found['data']['scannet_infos_val.pkl'] == run_records.file_digest(
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
    run('results/a', '--seeds', 4, 5, '--checkpoints', 'x.pth', 'y.pth')
    assert not commands.of(steps.TRAIN)
    assert [s.command[3]
            for s in commands.of(steps.TEST)] == ['x.pth', 'y.pth']
    assert record('results/a', 4)['seconds']['training'] is None


@pytest.mark.parametrize('arguments',
                         [['--seeds', 0, 1, '--checkpoints', 'x'],
                          ['--seeds', 1, 1], ['--evaluations', 0]])
def test_arguments_that_do_not_fit(commands, arguments):
    with pytest.raises(SystemExit):
        run('results/a', *arguments)


def test_pretrained_arms_name_their_encoder(commands, tmp_path):
    Path('encoder.pth').write_bytes(b'weights')
    evaluate.main(
        evaluate.parse_args([
            CONFIG, '--out', 'results/p', '--seeds', '0', '--cfg-options',
            'data_root=rooms/',
            "model.backbone.init_cfg=dict(type='Pretrained', "
            "checkpoint='encoder.pth')"
        ]))
    found = record('results/p', 0)
    assert found['kind'] == 'pretrained'
    assert found['encoder']['sha256'] == run_records.digest(b'weights')
    assert '--cfg-options' in commands.of(steps.TEST)[0].command


def test_every_seed_may_start_from_its_own_encoder(commands):
    for seed in (0, 1):
        Path(f'encoder_{seed}.pth').write_bytes(b'weights %d' % seed)
    evaluate.main(
        evaluate.parse_args([
            CONFIG, '--out', 'results/p', '--seeds', '0', '1', '--cfg-options',
            'data_root=rooms/',
            "model.backbone.init_cfg=dict(type='Pretrained', "
            "checkpoint='encoder_{seed}.pth')"
        ]))
    for seed in (0, 1):
        found = record('results/p', seed)['encoder']
        assert found['sha256'] == run_records.digest(b'weights %d' % seed)
        mine = [s for s in commands.ran if f'seed_{seed}/' in s.output]
        assert mine
        assert all(f'encoder_{seed}.pth' in str(step) for step in mine)
    assert len(run_records.read_records(Path('results/p'))) == 2
    for seed in (0, 1):
        run_records.write_record(
            Path('results/p', f'seed_{seed}.json'),
            dict(record('results/p', seed), options=dict(a='b')))
    with pytest.raises(ValueError, match='differ in encoder'):
        run_records.read_records(Path('results/p'))


def test_hash_does_not_depend_on_where_the_data_lies(commands, tmp_path):
    from sam3d_plugin.engine.options import read_config
    hashes = {
        run_records.config_hash(read_config(CONFIG, dict(data_root=root)))
        for root in ('rooms/', str(tmp_path / 'rooms') + '/')
    }
    assert len(hashes) == 1
    changed = read_config(CONFIG, {'model.test_cfg.nms_thr': .3})
    assert run_records.config_hash(changed) not in hashes


def write_arm(folder, values, config='votenet_scannet', kind='fresh', **more):
    """Records of an arm; values are scores by seed, in parts of one."""
    for seed, score in values.items():
        entry = dict(
            arm=Path(folder).name,
            seed=seed,
            config=config,
            kind=kind,
            options={},
            data={},
            encoder=None,
            scores=dict(last=[{
                'mAP_0.25': score,
                'mAP_0.50': score / 2
            }]))
        entry.update(more)
        run_records.write_record(Path(folder, f'seed_{seed}.json'), entry)


def test_table_by_hand(tmp_path, capsys):
    write_arm(tmp_path / 'fresh', {0: .50, 1: .52}, 'groupfree3d_scannet')
    write_arm(
        tmp_path / 'pretrained', {
            0: .60,
            1: .62
        },
        'groupfree3d_scannet',
        'pretrained',
        encoder=dict(file='e.pth'))
    out = tmp_path / 'table.json'
    compare.main([
        str(tmp_path / 'fresh'),
        str(tmp_path / 'pretrained'), '--json',
        str(out)
    ])
    shown = capsys.readouterr().out
    # means 51 and 61, deviation 1.414, error of the difference 1.414
    assert ('| pretrained | 2 | 61.0 ± 1.4 | +10.0 ± 2.8: gain | (72.3) | '
            '30.5 ± 0.7 | +5.0 ± 1.4: gain | (55.7) |') in shown
    assert '| fresh | 2 | 51.0 ± 1.4 | – | (66.1) |' in shown
    assert 'AP25 reported' in shown and 'optimistic' not in shown
    cells = json.loads(out.read_text())['cells']
    assert cells[-1]['standard_error'] == pytest.approx(.5**.5)


def test_small_differences_and_single_runs_are_no_gain(tmp_path, capsys):
    write_arm(tmp_path / 'a', {0: .50, 1: .54})
    write_arm(tmp_path / 'b', {0: .51, 1: .55})
    write_arm(tmp_path / 'c', {0: .90})
    arms = [str(tmp_path / name) for name in 'abc']
    compare.main(arms)
    shown = capsys.readouterr().out
    assert '+1.0 ± 5.7: unclear' in shown and '+38.0: one run' in shown
    # the seeds explain everything: pairs differ by exactly one point
    compare.main([*arms[:2], '--paired'])
    assert '+1.0 ± 0.0: gain' in capsys.readouterr().out


def test_best_epoch_is_called_optimistic(tmp_path, capsys):
    scores = dict(last=[{'mAP_0.25': .4}], best=[{'mAP_0.25': .5}])
    write_arm(tmp_path / 'a', {0: 0, 1: 0}, scores=scores)
    compare.main([str(tmp_path / 'a')])
    shown = capsys.readouterr().out
    assert '| best epoch on val (optimistic), % |' in shown
    assert '40.0' in shown and '50.0' in shown


def error_of(*arguments):
    with pytest.raises(SystemExit) as caught:
        compare.main([str(argument) for argument in arguments])
    return str(caught.value.code)


def test_mistakes_end_in_one_sentence(tmp_path):
    assert 'holds no seed_*.json' in error_of(tmp_path / 'none')
    write_arm(tmp_path / 'a', {0: .5})
    write_arm(tmp_path / 'b', {0: .5}, scores=dict(last=[{'miou': .5}]))
    write_arm(tmp_path / 'c', {1: .5})
    write_arm(tmp_path / 'c', {2: .5}, 'groupfree3d_scannet')
    assert 'share no metric' in error_of(tmp_path / 'a', tmp_path / 'b')
    assert 'differ in config' in error_of(tmp_path / 'c')
    assert 'two arms are named a' in error_of(tmp_path / 'a', tmp_path / 'a')
    assert '--baseline x is none of a' in error_of(tmp_path / 'a',
                                                   '--baseline', 'x')
    assert 'not scored with miou' in error_of(tmp_path / 'a', '--metrics',
                                              'miou')
    (tmp_path / 'a/seed_0.json').write_text('{')
    assert 'no whole record' in error_of(tmp_path / 'a')


def test_reported_numbers_belong_to_configs_that_exist():
    reported = json.loads(compare.REPORTED.read_text())['configs']
    for name, kinds in reported.items():
        assert (ROOT / f'configs/sam3d/{name}.py').is_file(), name
        assert set(kinds) <= {'stock', 'fresh', 'pretrained'}
        for numbers in kinds.values():
            assert numbers['source']
