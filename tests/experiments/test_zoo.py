"""The zoo's table, from results of the ladder and of fine-tunings."""
import argparse
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from sam3d_plugin.experiments import few_labels, ladder, rates, records, zoo
from sam3d_plugin.experiments.zoo_picture import draw
from sam3d_plugin.store.object_library import read_objects
from tests.datasets.frame_store import write_frames
from tests.tools.conftest import call, load_tool

ROOT = Path(__file__).parents[2]
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
                seconds=[60, 60, 60])
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
    results = zoo.collect(parsed, arms, dict(probes([]), arms={}))
    assert '| Bridge3D, without text | `bridge3d_knn` |' in zoo.zoo_table(
        results)


def test_table_compares_with_scratch(parsed):
    arms = zoo.arms_of(parsed.methods)
    write_results(parsed, arms, .2)
    results = zoo.collect(parsed, arms, probes(arms))
    rows = {row['arm']: row for row in results['rows']}
    assert rows['random_knn']['differences'] == {}
    gains = rows['point_mae_knn']['differences']
    assert gains['detection']['verdict'] == 'gain'
    assert gains['detection']['mean'] == pytest.approx(20, abs=.1)
    assert gains['probe']['verdict'] == 'unclear'
    text = zoo.zoo_table(results)
    assert '| Point-MAE | `point_mae_knn` | 3 | 21.3 ± 1.5 (' in text
    assert '| 3DETR (63.4 / 40.6); GroupFree3D (67.4 / 49.8) |' in text
    assert '| scratch | `random_knn` | 3 | 21.0 ± 1.0 | 10.1 ± 0.1 |' in text


def test_what_is_not_there_is_a_dash(parsed):
    arms = zoo.arms_of(parsed.methods)
    results = zoo.collect(parsed, arms, dict(probes([]), arms={}))
    assert '| `paper_sam` | 0 | – | – | – |' in zoo.zoo_table(results)


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
                method='m', arm=arm, differences={}, scores=dict(probe=found))
            for arm, found in scores.items()
        ]), dict(probe='mIoU'))
    axes = figures[0].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ['m (a)', 'm (b)']
    low, high = axes.get_ylim()
    assert all(low < place - .5 and place + .5 < high
               for place in axes.get_yticks())


def test_runs_ladder_and_fine_tunings(parsed, monkeypatch, tmp_path):
    ran = []

    def fake_ladder(args):
        ran.append(('ladder', args.arms, args.cfg_options))
        records.write_record(Path(args.json), probes(args.arms))

    def fake_few_labels(args):
        ran.append(('few', args.tasks, args.ladder))
        write_results(args, args.arms, .1)

    monkeypatch.setattr(ladder, 'run', fake_ladder)
    monkeypatch.setattr(few_labels, 'run', fake_few_labels)
    call('experiments/zoo', [
        '--data-root', tmp_path, '--work-dir', tmp_path / 'work', '--json',
        tmp_path / 'zoo.json', '--methods', 'point_mae', '--cfg-options',
        'optim_wrapper.type=CPUAmpOptimWrapper'
    ])
    assert ran == [('ladder', ['random_knn', 'point_mae_knn'],
                    ['optim_wrapper.type=CPUAmpOptimWrapper']),
                   ('few', ['detection_10',
                            'segmentation_10'], tmp_path / 'work' / 'ladder')]
    assert (tmp_path / 'zoo.png').read_bytes().startswith(b'\x89PNG')
    rows = records.read_json(tmp_path / 'zoo.json')['rows']
    assert [row['arm'] for row in rows] == ['random_knn', 'point_mae_knn']


def test_rates_are_tried_on_held_out_scenes(parsed, monkeypatch, tmp_path):
    ran = []

    def fake_ladder(args):
        ran.append(
            (args.held_out, args.seeds, args.length, args.cfg_options[-1]))
        found = probes(args.arms)
        for arm in found['arms'].values():
            arm['miou_three_nn'] = [.1 * len(ran)]
        records.write_record(Path(args.json), found)

    monkeypatch.setattr(ladder, 'run', fake_ladder)
    call('experiments/zoo', [
        '--data-root', tmp_path, '--work-dir', tmp_path / 'work', '--json',
        tmp_path / 'zoo.json', '--methods', 'point_mae', 'depth_contrast',
        '--rates'
    ])
    assert ran == [(True, [0], 1000, f'optim_wrapper.optimizer.lr={rate}')
                   for rate in ('1e-3', '3e-4')]
    results = records.read_json(tmp_path / 'zoo_rates.json')
    text = rates.rates_table(results)
    assert '| Point-MAE | `point_mae_knn` | 10.0 | 20.0 | 0.0003 |' in text
    assert results['rows'][1]['chosen'] == 3e-4
    del results['rows'][0]['scores']['3e-4']
    text = rates.rates_table(results)
    assert '| Point-MAE | `point_mae_knn` | 10.0 | – | 0.0003 |' in text


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
