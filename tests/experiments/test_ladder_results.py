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
        miou_rare=three_nn / 2,
        seconds=seconds,
        stage_seconds=dict(stage1=seconds - 20, probe=20),
        frames_seen=1000,
        tokens_per_frame=dict(train=128, val=128),
        was_resumed=False,
        precision='float32',
        commit='abc',
        hash=f'{miou}')


RESULTS = {
    ('random_knn', 0): result(0.3, 0.10),
    ('random_knn', 1): result(0.3, 0.11),
    ('random_knn', 2): result(0.3, 0.12),
    ('stage1_knn_balanced', 2): result(0.3, 0.16),
    ('stage1_knn_balanced', 0): result(0.1, 0.13),
    ('stage1_knn_balanced', 1): result(0.0, 0.13),
    ('stage1_knn_plain', 0): result(0.2, 0.11),
    ('stage1_knn_plain', 1): result(0.2, 0.13),
    ('ours_knn', 1): result(0.1, 0.12),
}


@pytest.fixture
def content():
    arms = module.aggregate(RESULTS)
    return dict(
        arms=arms,
        comparisons=module.comparisons(arms),
        missing=['ours_knn seed 0'],
        data=dict(frames=dict(train=720, val=240)),
        machine=dict(cores=2))


def test_lists_are_in_the_order_of_seeds(content):
    arm = content['arms']['stage1_knn_balanced']
    assert arm['seeds'] == [0, 1, 2]
    assert arm['miou'] == [0.1, 0.0, 0.3]
    assert arm['miou_three_nn'] == [0.13, 0.13, 0.16]
    assert arm['miou_rare'] == [0.065, 0.065, 0.08]
    assert arm['seconds'] == [120.] * 3
    assert content['arms']['ours_knn']['seeds'] == [1]


def test_what_was_put_together_is_separated(content):
    assert module.separate(content['arms']) == RESULTS


def test_results_of_before_say_no_precision():
    before = result(0.3)
    del before['precision']
    arms = module.aggregate({('random_knn', 0): before})
    assert arms['random_knn']['precision'] == ['float32']


def test_comparisons_are_paired_by_seed(content):
    found = {
        (c['arm'], c['baseline'], c['read_out']): c['difference']
        for c in content['comparisons']
    }
    first = found['stage1_knn_balanced', 'random_knn', 'three_nn']
    # Differences 3, 2, 4 points; three rows can be tested.
    p_value = 1 - 3 * math.sqrt(3) / math.sqrt(2 + 27)
    assert first['mean'] == pytest.approx(0.03)
    assert first['p_value'] == pytest.approx(p_value)
    assert first['adjusted_p'] == pytest.approx(3 * p_value)
    assert (first['test'], first['verdict']) == ('paired', 'unclear')
    rare = found['stage1_knn_balanced', 'stage1_knn_plain', 'rare']
    assert rare['test'] == 'Welch'
    assert rare['mean'] == pytest.approx(0.07 - 0.06)
    other = found['ours_knn', 'stage1_knn_balanced', 'three_nn']
    assert other['verdict'] == 'one run'
    # Nothing is said of arms that were not run.
    assert len(found) == 4


def test_own_tokens_are_not_compared():
    """Borders of regions raise the scores of one tokenizer."""
    assert 'own' not in {
        read_out
        for *_, read_outs in module.COMPARISONS
        for read_out in read_outs
    }


def test_every_compared_arm_exists():
    from sam3d_plugin.experiments.arms import ARMS
    from sam3d_plugin.experiments.methods import read_methods

    # The zoo compares the other methods.
    others = {
        f'{key}_{tokens}'
        for key, method in read_methods().items()
        for tokens in method.tokens
    }
    ours = set(ARMS) - others | {'point_mae_knn'}
    compared = {arm for *pair, _ in module.COMPARISONS for arm in pair}
    assert compared <= ours
    assert all('handcrafted' in arm for arm in ours - compared)


def test_tables_name_mean_and_spread(content):
    text = module.ladder_table(content)
    row = next(line for line in text.splitlines() if '`random_knn`' in line)
    assert row.split(' | ')[1:3] == ['3', '11.00 ± 1.00']
    assert row.split(' | ')[4:6] == ['5.50 ± 0.50', '30.00 ± 0.00']
    assert 'random_knn | +3.00 [+0.52, +5.48], p 0.105: unclear | – |' in text
    assert '| ours_knn – stage1_knn_balanced | -2.00: one run | – |' in text
    assert 'different commits' not in text
    content['arms']['ours_knn']['commits'] = ['def']
    assert 'def (ours_knn)' in module.ladder_table(content)
    assert 'Not finished: ours_knn seed 0.' in text
    assert '720 frames of train scenes, 240 frames of val scenes' in text


def test_readme_has_a_table_for_it(content, tmp_path):
    import json
    (tmp_path / 'ladder.json').write_text(json.dumps(content))
    text = update_readme.fill('<!-- table: ladder -->\n<!-- end -->', tmp_path)
    assert '`stage1_knn_balanced`' in text and 'one run' in text
