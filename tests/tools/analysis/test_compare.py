"""The table that puts arms side by side, and what it refuses."""
import json
from pathlib import Path

import pytest

from tools.analysis import compare, few_labels, run_records

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


def test_evaluations_of_a_training_are_not_independent(tmp_path, capsys):
    """They are averaged: one number per training."""
    for seed, scores in enumerate([[.1, .3], [.4, .4, .4]]):
        write_arm(
            tmp_path / 'a', {seed: 0},
            scores=dict(last=[{
                'mAP_0.25': score
            } for score in scores]))
    compare.main([str(tmp_path / 'a')])
    # 20 and 40: mean 30, deviation 14.1
    assert '| a | 2 | 30.0 ± 14.1 |' in capsys.readouterr().out


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


def marks(val='v', train='t', **more):
    """Checksums of data as records hold them."""
    return {
        'manifest.json': None,
        'infos_train.pkl': train,
        'infos_val.pkl': val,
        **more
    }


@pytest.mark.parametrize('scored', [dict(), dict(scored_on=['infos_val.pkl'])])
def test_arms_on_different_data_are_refused(tmp_path, scored):
    """Also those of older records, which do not say what is test data."""
    for name, data in dict(
            a=marks(), b=marks('other'), c=marks(None), d={}).items():
        write_arm(tmp_path / name, {0: .5}, data=data, **scored)
    text = error_of(tmp_path / 'a', tmp_path / 'b')
    assert text == ('error: a and b were evaluated on different data: the '
                    'checksum of infos_val.pkl is v in one and other in the '
                    'other; evaluate both on the same data')
    # What is not known is no difference.
    compare.main([str(tmp_path / name) for name in 'acd'])


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
    compare.main([str(tmp_path / 'a'), str(tmp_path / 'b')])
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if line.startswith('Arms differ')] == [
        'Arms differ in config: votenet_scannet (a), groupfree3d_scannet (b).',
        'Arms differ in evaluations: 1 (a), 3 (b).',
        'Arms differ in lr: not set (a), 0.1 (b).',
        'Arms differ in the content of infos_train.pkl.',
        f'Arms differ in the content of {REGIONS}.'
    ]


def test_published_records_go_on_giving_the_published_table(tmp_path, capsys):
    folder = ROOT / 'docs/results/few_labels'
    published = json.loads((ROOT / 'docs/results/few_labels.json').read_text())
    for task in few_labels.TASKS:
        arms = [folder / task / n for n in ('fresh', 'stage1', 'stage1_2')]
        out = tmp_path / 'table.json'
        compare.main([*map(str, arms), '--json', str(out)])
        table = json.loads(out.read_text())
        assert table == {key: published[task][key] for key in table}
    assert 'Arms differ' not in capsys.readouterr().out


def test_reported_numbers_belong_to_configs_that_exist():
    reported = json.loads(compare.REPORTED.read_text())['configs']
    for name, kinds in reported.items():
        assert (ROOT / f'configs/sam3d/{name}.py').is_file(), name
        assert set(kinds) <= {'stock', 'fresh', 'pretrained'}
        for numbers in kinds.values():
            assert numbers['source']
