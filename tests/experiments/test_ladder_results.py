"""Numbers of the ladder, on hand-made results."""
import math

import pytest

from sam3d_plugin.experiments import ladder_results as module
from tools.docs import update_readme


def result(miou, three_nn=0.1, seconds=120.):
    return dict(
        miou=miou,
        macc=miou + 0.1,
        miou_three_nn=three_nn,
        macc_three_nn=three_nn + 0.1,
        seconds=seconds,
        stage_seconds=dict(stage1=seconds - 20, probe=20),
        frames_seen=1000,
        tokens_per_frame=dict(train=128, val=128),
        was_resumed=False,
        commit='abc')


RESULTS = {
    ('random_knn', 0): result(0.10),
    ('random_knn', 1): result(0.11),
    ('random_knn', 2): result(0.12),
    ('stage1_knn', 2): result(0.16, 0.3),
    ('stage1_knn', 0): result(0.13, 0.1),
    ('stage1_knn', 1): result(0.13, 0.0),
    ('full_knn', 1): result(0.12),
}


@pytest.fixture
def content():
    arms = module.aggregate(RESULTS)
    return dict(
        arms=arms,
        comparisons=module.comparisons(arms),
        missing=['full_knn seed 0'],
        data=dict(frames=dict(train=720, val=240)),
        machine=dict(cores=2))


def test_lists_are_in_the_order_of_seeds(content):
    arm = content['arms']['stage1_knn']
    assert arm['seeds'] == [0, 1, 2]
    assert arm['miou'] == [0.13, 0.13, 0.16]
    assert arm['miou_three_nn'] == [0.1, 0.0, 0.3]
    assert arm['seconds'] == [120.] * 3
    assert content['arms']['full_knn']['seeds'] == [1]


def test_comparisons_are_paired_by_seed(content):
    found = {
        (c['arm'], c['baseline'], c['read_out']): c['difference']
        for c in content['comparisons']
    }
    own = found['stage1_knn', 'random_knn', 'own']
    # Differences 3, 2, 4 points; two rows can be tested, so p is doubled.
    p_value = 1 - 3 * math.sqrt(3) / math.sqrt(2 + 27)
    assert own['mean'] == pytest.approx(0.03)
    assert own['p_value'] == pytest.approx(p_value)
    assert own['adjusted_p'] == pytest.approx(2 * p_value)
    assert (own['test'], own['verdict']) == ('paired', 'unclear')
    other = found['stage1_knn', 'random_knn', 'three_nn']
    assert other['mean'] == pytest.approx(0.1 / 3)
    assert other['verdict'] == 'unclear'
    assert found['full_knn', 'stage1_knn', 'own']['verdict'] == 'one run'
    # Nothing is said of arms that were not run.
    assert len(found) == 4


def test_every_compared_arm_exists():
    from sam3d_plugin.experiments.arms import ARMS
    assert {a for pair in module.COMPARISONS for a in pair} == set(ARMS)


def test_tables_name_mean_and_spread(content):
    text = module.ladder_table(content)
    row = next(line for line in text.splitlines() if '`random_knn`' in line)
    assert row.split(' | ')[1:3] == ['3', '11.00 ± 1.00']
    assert '| stage1_knn – random_knn | +3.00 [+0.52, +5.48], p 0.0' in text
    assert '| full_knn – stage1_knn | -2.00: one run |' in text
    assert 'different commits' not in text
    content['arms']['full_knn']['commits'] = ['def']
    assert 'def (full_knn)' in module.ladder_table(content)
    assert 'Not finished: full_knn seed 0.' in text
    assert '720 frames of train scenes, 240 frames of val scenes' in text


def test_readme_has_a_table_for_it(content, tmp_path):
    import json
    (tmp_path / 'ladder.json').write_text(json.dumps(content))
    text = update_readme.fill('<!-- table: ladder -->\n<!-- end -->', tmp_path)
    assert '`stage1_knn`' in text and 'one run' in text
