"""The zoo's table, from results of the ladder and of fine-tunings."""
import argparse
import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import (few_labels, ladder, rates, records, zoo,
                                      zoo_rows)
from sam3d_plugin.experiments.arms import ARMS, BUDGETS, data_checksums
from sam3d_plugin.experiments.zoo_picture import draw
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.store.object_library import read_objects
from tests.datasets.frame_store import write_frames
from tests.tools.conftest import call, load_tool

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / 'docs' / 'results'
SEEDS = (0, 1, 2)


def record(arm, seed, **scores):
    return dict(
        arm=arm,
        seed=seed,
        config='x',
        kind='fresh',
        commit='c',
        data={},
        scored_on=[],
        scores=dict(last=[scores]))


def write_results(args, arms, gain):
    """Records as fine-tunings leave them; trained arms are better by gain."""
    for arm in arms:
        better = gain * few_labels.is_trained(arm)
        for kind, (metric, *_) in few_labels.METRICS.items():
            folder = few_labels.records_folder(args, f'{kind}_10', arm)
            for seed in SEEDS:
                score = .1 + better + .001 * seed * (1 + better)
                records.write_record(folder / f'seed_{seed}.json',
                                     record(arm, seed, **{metric: score}))


@pytest.fixture
def parsed(tmp_path):
    return load_tool('experiments/zoo').parse_args([
        '--data-root',
        str(tmp_path), '--work-dir',
        str(tmp_path / 'work'), '--json',
        str(tmp_path / 'zoo.json'), '--methods', 'point_mae', 'sam3d'
    ])


def probes(arms):
    return dict(
        arms={
            arm:
            dict(
                seeds=list(SEEDS),
                miou_three_nn=[
                    .2, .21, .22 + .01 * few_labels.is_trained(arm)
                ],
                seconds=[60, 60, 60],
                commits=['c'] * 3)
            for arm in arms
        },
        budget={},
        data={},
        scored_on=[],
        machine=dict(device='cpu'))


def test_methods_have_arms_and_a_baseline_each():
    arms = zoo.arms_of(['point_mae', 'sam3d'])
    assert arms['random_knn'] == arms['random_sam'] == 'scratch'
    assert arms['point_mae_knn'] == 'Point-MAE'
    assert {'random_sam', 'point_mae_knn', *zoo.OUR_ARMS} < set(arms)


def test_variants_are_named_as_such(parsed):
    arms = zoo.arms_of(['act', 'bridge3d'])
    assert arms['act_knn'] == 'ACT, random image blocks'
    assert arms['bridge3d_knn'] == 'Bridge3D, without text'
    results = zoo.collect(parsed, dict(probes([]), arms={}), {})
    assert '| Bridge3D, without text | `bridge3d_knn` |' in zoo.zoo_table(
        results)


def test_table_compares_with_scratch(parsed):
    arms = zoo.arms_of(parsed.methods)
    write_results(parsed, arms, .2)
    results = zoo.collect(parsed, probes(arms), {})
    rows = {row['arm']: row for row in results['rows']}
    assert rows['random_knn']['differences'] == {}
    gains = rows['point_mae_knn']['differences']
    assert gains['detection']['verdict'] == 'gain'
    assert gains['detection']['mean'] == pytest.approx(20, abs=.1)
    assert gains['probe']['verdict'] == 'unclear'
    text = zoo.zoo_table(results)
    assert '| Point-MAE | `point_mae_knn` | 3 | 1.0 | 21.3 ± 1.5 (' in text
    assert '| 3DETR (63.4 / 40.6); GroupFree3D (67.4 / 49.8) |' in text
    assert '| `random_knn` | 3 | 1.0 | 21.0 ± 1.0 | 10.1 ± 0.1 |' in text


def test_what_is_not_there_is_a_dash(parsed):
    results = zoo.collect(parsed, dict(probes([]), arms={}), {})
    assert '| `paper_sam` | 0 | – | – | – | – |' in zoo.zoo_table(results)


def test_seeds_are_counted_by_measure(parsed):
    arms = zoo.arms_of(parsed.methods)
    write_results(parsed, arms, .2)
    found = probes(arms)
    found['arms']['point_mae_knn'].update(
        seeds=[0, 1, 2, 3, 4], miou_three_nn=[.2] * 5)
    del found['arms']['random_knn']
    text = zoo.zoo_table(zoo.collect(parsed, found, {}))
    assert '| `point_mae_knn` | 5 / 3 / 3 | 1.0 | 20.0 ± 0.0 |' in text
    assert '| `random_knn` | 0 / 3 / 3 | – | – | 10.1 ± 0.1 |' in text


def test_scratch_has_the_reported_scores_of_every_detector():
    assert zoo.reported()['scratch'] == {
        '3DETR': '61.1 / 38.6',
        'GroupFree3D': '66.1 / 48.3',
        'VoteNet (PointNet++)': '58.6 / 33.5'
    }


def test_the_picture_has_room_for_every_trained_arm_and_no_other(monkeypatch):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, 'savefig',
        lambda self, *args, **kwargs: figures.append(self) or save(
            self, *args, **kwargs))
    scores = dict(a={'0': 1., '1': 2.}, b={'0': 3.}, untrained={})
    draw(
        dict(rows=[
            dict(
                method='m',
                arm=arm,
                differences={},
                scores=dict(probe=found, detection={}))
            for arm, found in scores.items()
        ]), dict(probe='mIoU', detection='AP25'))
    axes, = figures[0].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ['m (a)', 'm (b)']
    low, high = axes.get_ylim()
    assert all(low < place - .5 and place + .5 < high
               for place in axes.get_yticks())


def write_probes(args, **scores):
    """The result file of a ladder; other arms stay in it."""
    found = ladder.collect(argparse.Namespace(**{
        **vars(args), 'json': 'none'
    }), data_checksums(args.data_root))  # yapf: disable
    arms = probes(args.arms)['arms']
    for arm in arms.values():
        arm.update(scores, seeds=args.seeds)
    before = records.read_json(args.json).get('arms', {})
    records.write_record(Path(args.json), dict(found, arms={**before, **arms}))


@pytest.fixture
def run_zoo(monkeypatch, tmp_path):
    """Runs the tool without trainings; ``ran`` lists what it would run."""

    def fake_ladder(args):
        run_zoo.ran.append(('ladder', args.arms, args.cfg_options))
        write_probes(args)

    def fake_few_labels(args):
        run_zoo.ran.append(('few', args.tasks, args.ladder))
        write_results(args, args.arms, .1)

    def run_zoo(*options, work='work'):
        call('experiments/zoo', [
            '--data-root', tmp_path, '--work-dir', tmp_path / work, '--json',
            tmp_path / 'zoo.json', *options
        ])
        return records.read_json(tmp_path / 'zoo.json')

    run_zoo.ran = []
    (tmp_path / 'region_maps').mkdir()
    (tmp_path / 'manifest.json').write_text('{}')
    monkeypatch.setattr(ladder, 'run', fake_ladder)
    monkeypatch.setattr(few_labels, 'run', fake_few_labels)
    return run_zoo


def rows_of(results):
    return {row['arm']: row for row in results['rows']}


def trained(results):
    return [r['arm'] for r in results['rows'] if r['scores']['probe']]


def test_runs_ladder_and_fine_tunings(run_zoo, tmp_path):
    results = run_zoo('--methods', 'point_mae', '--cfg-options',
                      'train_dataloader.num_workers=1')
    assert run_zoo.ran == [
        ('ladder', ['random_knn',
                    'point_mae_knn'], ['train_dataloader.num_workers=1']),
        ('few', ['detection_10',
                 'segmentation_10'], tmp_path / 'work' / 'ladder')
    ]
    assert (tmp_path / 'zoo.png').read_bytes().startswith(b'\x89PNG')
    assert trained(results) == ['random_knn', 'point_mae_knn']


def test_rows_of_other_methods_stay(run_zoo):
    """In another work directory; in the order of the methods."""
    first = rows_of(run_zoo('--methods', 'point_mae'))
    results = run_zoo('--methods', 'sam3d', 'act', '--seeds', '0', work='new')
    both = rows_of(results)
    assert trained(results) == [
        'random_sam', 'random_knn', *zoo.OUR_ARMS, 'act_knn', 'point_mae_knn'
    ]
    assert both['point_mae_knn']['scores'] == first['point_mae_knn']['scores']
    assert list(both['act_knn']['scores']['probe']) == ['0']
    # Holm's correction is over all rows.
    old, new = (
        rows['point_mae_knn']['differences']['detection']
        for rows in (first, both))
    assert new['p_value'] == old['p_value']
    assert new['adjusted_p'] > old['adjusted_p']


@pytest.mark.parametrize('options, difference', [
    (['--budget', 'full'], 'budget.length 2000, now 120'),
    (['--cfg-options', 'a=1'], r"budget.options \[\], now \['a=1'\]"),
])
def test_another_budget_is_refused_before_any_training(run_zoo, tmp_path,
                                                       options, difference):
    before = run_zoo('--methods', 'point_mae')
    run_zoo.ran.clear()
    with pytest.raises(UserError, match=f'{difference}.*--json'):
        run_zoo('--methods', 'act', *options)
    assert not run_zoo.ran
    assert records.read_json(tmp_path / 'zoo.json') == before


@pytest.mark.parametrize('rates', [[], ['--rates']])
def test_other_data_are_refused_before_any_training(run_zoo, tmp_path, rates):
    run_zoo('--methods', 'point_mae', *rates)
    (tmp_path / 'manifest.json').write_text('{"scans": []}')
    run_zoo.ran.clear()
    with pytest.raises(UserError, match='other data .manifest.json .*--json'):
        run_zoo('--methods', 'act', *rates)
    assert not run_zoo.ran


def test_the_published_results_are_not_mixed_with_others(run_zoo, tmp_path):
    (tmp_path / 'zoo.json').write_text((RESULTS / 'zoo.json').read_text())
    (tmp_path / 'store.json').write_text('{"kind": "synthrooms"}')
    with pytest.raises(UserError, match='data .store.json .*--json'):
        run_zoo('--methods', 'point_mae')


def test_files_that_one_data_set_lacks_do_not_differ(tmp_path):
    file = tmp_path / 'zoo.json'
    rows = [dict(arm='ours_sam')]
    records.write_record(
        file, dict(rows=rows, data=dict(manifests=dict(a='1', b='2'))))
    assert zoo_rows.read(
        file, dict(data=dict(manifests=dict(a='1', c='3')))) == dict(
            rows=rows, data=dict(manifests=dict(a='1', b='2', c='3')))


def test_rates_are_tried_on_held_out_scenes(run_zoo, monkeypatch, tmp_path):
    ran = []

    def fake_ladder(args):
        ran.append(
            (args.held_out, args.seeds, args.length, args.cfg_options[-1]))
        write_probes(args, miou_three_nn=[.1 * len(ran)])

    monkeypatch.setattr(ladder, 'run', fake_ladder)
    run_zoo('--methods', 'point_mae', 'depth_contrast', '--rates')
    assert ran == [(True, [0], 1000, f'optim_wrapper.optimizer.lr={rate}')
                   for rate in ('1e-3', '3e-4')]
    results = records.read_json(tmp_path / 'zoo_rates.json')
    text = rates.rates_table(results)
    assert '| Point-MAE | `point_mae_knn` | 10.0 | 20.0 | 0.0003 |' in text
    # Rows of other methods stay.
    run_zoo('--methods', 'act', 'depth_contrast', '--rates')
    results = records.read_json(tmp_path / 'zoo_rates.json')
    rows = rows_of(results)
    assert list(rows) == ['act_knn', 'depth_contrast_knn', 'point_mae_knn']
    assert rows['point_mae_knn']['scores'] == {'1e-3': .1, '3e-4': .2}
    assert rows['depth_contrast_knn']['scores'] != {'1e-3': .1, '3e-4': .2}
    assert rows['point_mae_knn']['chosen'] == 3e-4
    del rows['point_mae_knn']['scores']['3e-4']
    text = rates.rates_table(results)
    assert '| Point-MAE | `point_mae_knn` | 10.0 | – | 0.0003 |' in text


@pytest.mark.parametrize(
    'row',
    json.loads((RESULTS / 'zoo_rates.json').read_text())['rows'],
    ids=lambda row: row['arm'])
def test_configs_have_the_better_rate(row):
    best = float(max(row['scores'], key=row['scores'].get))
    assert row['chosen'] == best
    for stage in ARMS[row['arm']].steps:
        config = read_config(BUDGETS['mini'].configs[stage], {})
        assert config.optim_wrapper.optimizer.lr == best, stage


def test_objects_are_made_where_an_arm_reads_them(parsed, monkeypatch,
                                                  tmp_path):
    monkeypatch.chdir(ROOT)
    zoo.make_inputs(parsed, ['depth_contrast_knn'])
    assert not (tmp_path / 'objects.npz').exists()
    zoo.make_inputs(parsed, ['depth_contrast_knn', 'four_d_contrast_knn'])
    assert len(read_objects(tmp_path / 'objects.npz').points) == 48


def test_pairs_are_made_once_where_an_arm_reads_them(parsed, monkeypatch,
                                                     tmp_path, capfd):
    arms = zoo.arms_of(['point_mae', 'depth_contrast', 'csc'])
    write_frames(tmp_path)
    monkeypatch.chdir(ROOT)
    zoo.make_inputs(parsed, [arm for arm in arms if arm != 'csc_knn'])
    assert not (tmp_path / 'frame_pairs').exists()
    zoo.make_inputs(parsed, list(arms))
    manifest = tmp_path / 'frame_pairs' / 'manifest.json'
    assert manifest.is_file()
    capfd.readouterr()
    zoo.make_inputs(parsed, list(arms))
    assert 'done before' in capfd.readouterr().out


def test_full_budget_fine_tunes_the_published_size():
    args = argparse.Namespace(budget='full')
    for task in few_labels.TASKS.values():
        assert task.config(args).endswith('_scannet.py')
