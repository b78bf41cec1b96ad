"""Means, errors and verdicts against figures worked out by hand."""
import math

import pytest

from sam3d_plugin.evaluation.comparison import (compare, compare_pairs,
                                                summarize)


def test_summary_by_hand():
    summary = summarize([1., 2., 3.])
    assert (summary.count, summary.mean, summary.std) == (3, 2., 1.)
    assert summary.standard_error == pytest.approx(1 / math.sqrt(3))


def test_single_training_has_no_error():
    summary = summarize([.5])
    assert summary.std is None and summary.standard_error is None
    assert compare([.9], [.1]).verdict == 'one run'


@pytest.mark.parametrize('scores', [[], [1., math.nan], [math.inf]])
def test_refuses_what_is_no_score(scores):
    with pytest.raises(ValueError, match='score'):
        summarize(scores)


def test_gain_only_beyond_two_standard_errors():
    baseline = [0., 2.]  # mean 1, std sqrt 2, standard error 1
    error = math.sqrt(2)
    for gap, verdict in ((1.99 * error, 'unclear'), (2.01 * error, 'gain'),
                         (-2.01 * error, 'loss')):
        difference = compare([gap, 2 + gap], baseline)
        assert difference.mean == pytest.approx(gap)
        assert difference.standard_error == pytest.approx(error)
        assert difference.verdict == verdict


def test_same_scores_are_no_gain():
    assert compare([1., 1.], [1., 1.]).verdict == 'unclear'


def test_pairs_cancel_what_seeds_share():
    baseline = {0: .1, 1: .5, 2: .9}
    arm = {0: .12, 1: .53, 2: .91, 7: .99}
    assert compare(list(arm.values())[:3],
                   list(baseline.values())).verdict == 'unclear'
    pairs = compare_pairs(arm, baseline)
    assert pairs.count == 3 and pairs.is_paired
    assert pairs.mean == pytest.approx(.02)
    assert pairs.standard_error == pytest.approx(.01 / math.sqrt(3))
    assert pairs.verdict == 'gain'


def test_pairs_need_a_common_seed():
    with pytest.raises(ValueError, match=r'\[1\].*\[2\]'):
        compare_pairs({1: .1}, {2: .2})
