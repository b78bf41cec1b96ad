"""The table that puts arms side by side, and what it refuses."""
import json
import re
from pathlib import Path

import pytest
from scipy import stats

from sam3d_plugin.experiments import arm_tables, leaderboard, records
from sam3d_plugin.experiments.few_labels import baseline_of
from sam3d_plugin.store.errors import RecordError, UserError
from tests.tools.conftest import call

ROOT = Path(__file__).resolve().parents[3]
REGIONS = 'regions of infos_val.pkl'


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
            scored_on=['infos_val.pkl'],
            encoder=None,
            commit='abc',
            scores=dict(last=[{
                'mAP_0.25': score,
                'mAP_0.50': score / 2
            }]))
        entry.update(more)
        records.write_record(Path(folder, f'seed_{seed}.json'), entry)


def test_table_by_hand(tmp_path, capsys):
    write_arm(tmp_path / 'fresh', {0: .50, 1: .52}, 'groupfree3d_scannet')
    write_arm(
        tmp_path / 'pretrained', {
            0: .60,
            1: .63
        },
        'groupfree3d_scannet',
        'pretrained',
        encoder=dict(file='e.pth'))
    out = tmp_path / 'table.json'
    call('experiments/compare', [
        str(tmp_path / 'fresh'),
        str(tmp_path / 'pretrained'), '--json',
        str(out)
    ])
    shown = capsys.readouterr().out
    # Differences 10 and 11: mean 10.5, error 0.5, one degree of freedom,
    # t = 21; twice the p value, since the table has two tests.
    p_value = 2 * stats.t.sf(21, 1)
    margin = stats.t.ppf(.975, 1) / 2
    text = f'+10.5 [{10.5 - margin:+.1f}, {10.5 + margin:+.1f}], p '
    assert (f'| pretrained | 2 | 61.5 ± 2.1 | {text}{2 * p_value:.3f}: '
            'unclear | (72.3) |') in shown
    assert '| fresh | 2 | 51.0 ± 1.4 | – | (66.1) |' in shown
    assert 'AP25 reported' in shown and 'optimistic' not in shown
    found = json.loads(out.read_text())['cells'][-1]['difference']
    assert found['p_value'] == pytest.approx(p_value)
    assert found['test'] == 'paired'


def test_verdicts_depend_on_seeds_and_on_the_size_of_the_table(
        tmp_path, capsys):
    """Welch's t test, and Holm's correction over the rows."""

    def verdicts(*names):
        call('experiments/compare',
             [str(tmp_path / name)
              for name in names] + ['--metrics', 'mAP_0.25'])
        shown = capsys.readouterr().out.splitlines()
        return {
            line.split(' | ')[0][2:]: line.split(': ')[-1].split(' |')[0]
            for line in shown if line[:3] in {f'| {n}'
                                              for n in names[1:]}
        }

    write_arm(tmp_path / 'a', {0: .50, 1: .55, 2: .60})
    write_arm(tmp_path / 'b', {0: .51, 1: .564, 2: .611})
    write_arm(tmp_path / 'c', {5: .51, 6: .564, 7: .611})
    write_arm(tmp_path / 'd', {0: .90})
    assert verdicts('a', 'b') == dict(b='gain')
    # The same scores, with seeds that the baseline does not have.
    assert verdicts('a', 'c', 'd') == dict(c='unclear', d='one run')
    for name in 'efgh':
        write_arm(tmp_path / name, {0: .49, 1: .57, 2: .60})
    assert set(verdicts('a', *'befgh').values()) == {'unclear'}


def test_evaluations_of_a_training_are_not_independent(tmp_path, capsys):
    """They are averaged: one number per training."""
    for seed, scores in enumerate([[.1, .3], [.4, .4, .4]]):
        write_arm(
            tmp_path / 'a', {seed: 0},
            scores=dict(last=[{
                'mAP_0.25': score
            } for score in scores]))
    call('experiments/compare', [str(tmp_path / 'a')])
    # 20 and 40: mean 30, deviation 14.1
    assert '| a | 2 | 30.0 ± 14.1 |' in capsys.readouterr().out


def test_best_epoch_is_called_optimistic(tmp_path, capsys):
    scores = dict(last=[{'mAP_0.25': .4}], best=[{'mAP_0.25': .5}])
    write_arm(tmp_path / 'a', {0: 0, 1: 0}, scores=scores)
    call('experiments/compare', [str(tmp_path / 'a')])
    shown = capsys.readouterr().out
    assert '| best epoch on val (optimistic), % |' in shown
    assert '40.0' in shown and '50.0' in shown


def error_of(*arguments):
    with pytest.raises(UserError) as caught:
        call('experiments/compare', [str(argument) for argument in arguments])
    return f'error: {caught.value}'


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
    assert 'complete record' in error_of(tmp_path / 'a')


def marks(val='v', train='t', **more):
    """Checksums of data as records hold them."""
    return {
        'manifest.json': None,
        'infos_train.pkl': train,
        'infos_val.pkl': val,
        **more
    }


def test_arms_on_different_data_are_refused(tmp_path):
    for name, data in dict(
            a=marks(), b=marks('other'), c=marks(None), d={}).items():
        write_arm(tmp_path / name, {0: .5}, data=data)
    text = error_of(tmp_path / 'a', tmp_path / 'b')
    assert text == ('error: a and b were evaluated on different data: the '
                    'checksum of infos_val.pkl is v in one and other in the '
                    'other; evaluate both on the same data')
    # What is not known is no difference.
    call('experiments/compare', [str(tmp_path / name) for name in 'acd'])


def test_files_of_other_names_are_other_data(tmp_path):
    """Of two areas, or of two versions of the boxes."""
    write_arm(tmp_path / 'a', {0: .5}, data=marks())
    write_arm(
        tmp_path / 'b', {0: .5},
        data=marks(**{'v1_infos_val.pkl': 'w'}),
        scored_on=['v1_infos_val.pkl'])
    assert error_of(tmp_path / 'a', tmp_path / 'b') == (
        'error: a and b were evaluated on different data: infos_val.pkl and '
        'v1_infos_val.pkl; evaluate both on the same data')
    write_arm(
        tmp_path / 'c', {0: .5},
        data=marks(copy='v'),
        scored_on=['manifest.json', 'copy'])
    call('experiments/compare', [str(tmp_path / name) for name in 'ac'])


def test_rows_of_a_board_are_of_the_same_data():
    rows = {
        name: dict(arm=name, scored_on={f'{name}.pkl': mark}, scores={})
        for name, mark in dict(a='v', b='w').items()
    }
    with pytest.raises(
            RecordError,
            match='board/x/b.json and a.json were evaluated on different'):
        leaderboard.board_table(dict(x=rows))


def test_differences_are_said_under_the_table(tmp_path, capsys):
    write_arm(tmp_path / 'a', {0: .5}, data=marks(**{REGIONS: 'x'}))
    write_arm(
        tmp_path / 'b', {0: .5},
        'groupfree3d_scannet',
        options=dict(lr='0.1', load_from='e.pth', data_root='/disk'),
        scores=dict(last=[{
            'mAP_0.25': .5
        }] * 3),
        data=marks(train='other', **{REGIONS: 'y'}))
    call('experiments/compare', [str(tmp_path / 'a'), str(tmp_path / 'b')])
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if line.startswith('Arms differ')] == [
        'Arms differ in config: votenet_scannet (a), groupfree3d_scannet (b).',
        'Arms differ in evaluations: 1 (a), 3 (b).',
        'Arms differ in lr: not set (a), 0.1 (b).',
        'Arms differ in the content of infos_train.pkl.',
        f'Arms differ in the content of {REGIONS}.'
    ]


@pytest.mark.parametrize('commits, note', [
    (['abc', 'abc', 'abc'], None),
    (['abc', 'abc', 'def'], 'abc .a.; abc, def .b.'),
    (['abc', 'def', 'def'], 'abc .a.; def .b.'),
    (['abc, def', 'abc, def', 'abc, def'], 'abc, def .a.; abc, def .b.'),
    (['abc-dirty'] * 3, 'may differ.*abc-dirty'),
    (['unknown'] * 3, 'may differ.*unknown'),
])
def test_commits_are_said_under_the_table(tmp_path, capsys, commits, note):
    """Of one training of arm a, and of two of arm b."""
    for name, seed, commit in zip('abb', (0, 0, 1), commits):
        write_arm(tmp_path / name, {seed: .5}, commit=commit)
    call('experiments/compare', [str(tmp_path / 'a'), str(tmp_path / 'b')])
    shown = capsys.readouterr().out
    assert ('commit' in shown) == (note is not None)
    assert note is None or re.search(note, shown)


def test_published_records_give_the_published_table(tmp_path, capsys):
    """But for rare classes, which need the data, and the correction."""
    folder = ROOT / 'docs/results/few_labels'
    published = json.loads((ROOT / 'docs/results/few_labels.json').read_text())
    for task, expected in published.items():
        names = dict.fromkeys(cell['arm'] for cell in expected['cells'])
        metrics = [m for m in expected['metrics'] if not m.endswith('_rare')]
        notes, cells = [], []
        # Arms are compared with the fresh encoder of their own tokens.
        for baseline in dict.fromkeys(map(baseline_of, names)):
            out = tmp_path / 'table.json'
            call('experiments/compare', [
                *(str(folder / task / name)
                  for name in names if baseline_of(name) == baseline),
                '--json',
                str(out), '--metrics', *metrics
            ])
            found = json.loads(out.read_text())
            notes += found['notes']
            cells += found['cells']
        assert notes == expected['notes']
        wanted = [c for c in expected['cells'] if c['metric'] in metrics]
        assert list(map(uncorrected, cells)) == list(map(uncorrected, wanted))
    assert 'Arms differ' not in capsys.readouterr().out


def uncorrected(cell):
    """A cell without what depends on the other cells of its table."""
    difference = {
        key: value
        for key, value in cell.get('difference', {}).items()
        if key not in ('adjusted_p', 'verdict')
    }
    return dict(cell, difference=difference)


def test_reported_numbers_belong_to_configs_that_exist():
    reported = json.loads(arm_tables.REPORTED.read_text())['configs']
    for name, kinds in reported.items():
        assert (ROOT / f'configs/sam3d/{name}.py').is_file(), name
        assert set(kinds) <= {'stock', 'fresh', 'pretrained'}
        for numbers in kinds.values():
            assert numbers['source']
