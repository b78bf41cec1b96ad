"""Tests, intervals and verdicts against figures worked out by hand."""
import math

import numpy as np
import pytest
from scipy import stats

from sam3d_plugin.experiments.comparison import (LEVEL, Difference, compare,
                                                 judge, summarize)


def by_seed(*scores, first=0):
    return dict(enumerate(scores, first))


def verdict(arm, baseline):
    return judge([compare(arm, baseline)])[0].verdict


def test_summary_by_hand():
    summary = summarize([1., 2., 3.])
    assert (summary.count, summary.mean, summary.std) == (3, 2., 1.)
    assert summarize([.5]).std is None


@pytest.mark.parametrize('scores', [[], [1., math.nan], [math.inf]])
def test_refuses_what_is_no_score(scores):
    with pytest.raises(ValueError, match='score'):
        summarize(scores)
    with pytest.raises(ValueError, match='score'):
        compare(by_seed(*scores), by_seed(1., 2.))


def test_paired_test_by_hand():
    """Differences 1, 2, 3: t = 2 / (1 / sqrt 3) with 2 degrees of freedom."""
    found = compare({2: 6., 0: 2., 1: 4.}, by_seed(1., 2., 3.))
    assert (found.test, found.mean) == ('paired', 2)
    t = 2 * math.sqrt(3)
    # The distribution of t with 2 degrees of freedom has a closed form.
    assert found.p_value == pytest.approx(1 - t / math.sqrt(2 + t**2))
    margin = 4.302653 / math.sqrt(3)
    assert found.low == pytest.approx(2 - margin, abs=1e-5)
    assert found.high == pytest.approx(2 + margin, abs=1e-5)
    assert found.verdict is found.adjusted_p is None


def test_other_seeds_are_not_paired():
    """Means 2 and 5, variances 1 and 4, each of three: 2.94 degrees."""
    found = compare(by_seed(1., 2., 3.), by_seed(3., 5., 7., first=1))
    assert (found.test, found.mean) == ('Welch', -3)
    t, freedom = -3 / math.sqrt(5 / 3), (5 / 3)**2 / ((1 / 9 + 16 / 9) / 2)
    assert found.p_value == pytest.approx(2 * stats.t.cdf(t, freedom))
    margin = stats.t.ppf(.975, freedom) * math.sqrt(5 / 3)
    assert (found.low, found.high) == pytest.approx((-3 - margin, -3 + margin))


def test_pairs_cancel_what_seeds_share():
    baseline, arm = by_seed(.1, .5, .9), by_seed(.12, .53, .92)
    assert verdict(arm, baseline) == 'gain'
    assert verdict(baseline, arm) == 'loss'
    moved = {seed + 1: score for seed, score in arm.items()}
    assert verdict(moved, baseline) == 'unclear'


@pytest.mark.parametrize('arm, baseline, expected', [
    (by_seed(.9), by_seed(.1), 'one run'),
    (by_seed(.9), by_seed(.1, .2), 'one run'),
    (by_seed(1., 1.), by_seed(1., 1.), 'equal'),
    (by_seed(.4, .6), by_seed(.4, .6), 'equal'),
    (by_seed(1., 1.), by_seed(1., 1., first=5), 'equal'),
    (by_seed(.1 + .2, .7), by_seed(.3, .7), 'equal'),
    (by_seed(.51, .55), by_seed(.50, .54), 'no spread'),
    (by_seed(1., 1.), by_seed(0., 0., first=5), 'no spread'),
    (by_seed(.2, .4), by_seed(0., 0.), 'unclear'),
])
def test_cases_without_a_test_say_so(arm, baseline, expected):
    found = compare(arm, baseline)
    assert (found.p_value is None) == (expected != 'unclear')
    assert judge([found])[0].verdict == expected
    assert expected in judge([found])[0].text()


def test_holm_by_hand():
    """Holm's own steps: p times 4, 3, 2, 1 in order, never decreasing."""
    rows = [Difference(1, 'paired', 0, 2, p) for p in (.03, .01, .04, .005)]
    single = Difference(5, 'Welch', verdict='one run')
    judged = judge([*rows[:2], single, *rows[2:]])
    assert judged.pop(2) == single
    assert [d.adjusted_p
            for d in judged] == pytest.approx([.06, .03, .06, .02])
    assert [d.verdict
            for d in judged] == ['unclear', 'gain', 'unclear', 'gain']
    assert judge([]) == []
    # A family of one is the plain test.
    assert judge(rows[:1])[0].adjusted_p == .03


def test_null_tables_rarely_hold_a_gain():
    """20 rows of three pairs without any difference, 400 tables.

    Twice the standard error called 18 % of such rows a gain or a loss. The
    chance of more than 5 % + 4 standard deviations of tables is below 1e-4.
    """
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        rows = [
            compare(
                by_seed(*rng.normal(size=3)), by_seed(*rng.normal(size=3)))
            for _ in range(20)
        ]
        wrong += any(d.verdict != 'unclear' for d in judge(rows))
    assert wrong / 400 < LEVEL + 4 * math.sqrt(LEVEL * (1 - LEVEL) / 400)


def test_text_of_a_row():
    row = Difference(.0124, 'paired', .004, .0208, .004, .012, 'gain')
    assert row.text(1, 100) == '+1.2 [+0.4, +2.1], p 0.012: gain'
