"""Tests of the difference between two arms.

An arm is one configuration, trained with several seeds. Trainings are
independent; several evaluations of one training are averaged first.

A seed fixes the order of the scenes, their points and the labeled ones, and
the fresh weights. So arms with the same seeds are compared pair by pair
(paired t test), others by Welch's t test. The choice depends on the seeds
alone, never on the scores. Both tests are two-sided at ``LEVEL``.

A table makes many comparisons, so verdicts follow Holm's correction over all
of its rows (Holm, Scandinavian Journal of Statistics 1979).
"""
import math
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
from scipy import stats

from ..store.errors import UserError

LEVEL = 0.05
# Relative to the scores: a smaller spread is rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Summary:
    """A score over the trainings of an arm."""
    count: int  # Number of trainings
    mean: float  # Their mean
    # Their standard deviation, with n - 1 in the denominator; None for a
    # single training
    std: Optional[float]


@dataclass(frozen=True)
class Difference:
    """By how much one arm is better than another."""
    mean: float  # Difference of the means, positive when it is better
    test: str  # ``'paired'`` or ``'Welch'``
    # Lower end of the 95 % confidence interval, not corrected; None where no
    # test is possible
    low: Optional[float] = None
    high: Optional[float] = None  # Upper end
    p_value: Optional[float] = None  # Of the test alone
    # After Holm's correction, see :func:`judge`
    adjusted_p: Optional[float] = None
    # 'gain', 'loss' or 'unclear', see :func:`judge`; where no test is possible
    # 'one run', 'equal', or 'no spread' for a difference without any spread
    # over seeds
    verdict: Optional[str] = None

    def text(self, digits: int = 1, scale: float = 1.) -> str:
        """Difference, interval, corrected p and verdict for a table.

        Returns a text such as ``+1.2 [+0.4, +2.0], p 0.012: gain``.
        """
        text = f'{scale * self.mean:+.{digits}f}'
        if self.low is not None and self.high is not None:
            p_value = max(self.adjusted_p or 0, .001)
            text += (f' [{scale * self.low:+.{digits}f}, '
                     f'{scale * self.high:+.{digits}f}], '
                     f'p {"≤" * (p_value == .001)}{p_value:.3f}')
        return f'{text}: {self.verdict}'


def summarize(scores: Sequence[float]) -> Summary:
    """Mean and standard deviation of an arm's trainings.

    Args:
        scores (Sequence[float]): One score per training.

    Returns:
        Summary: Over these trainings.

    Raises:
        ValueError: When there is no score, or one is not finite.
    """
    if not scores:
        raise UserError('an arm without a finished training has no score')
    if not all(map(math.isfinite, scores)):
        raise UserError(f'a score is not finite: {list(scores)}; look at '
                        'that run before comparing')
    std = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return Summary(len(scores), math.fsum(scores) / len(scores), std)


def cell_text(scores: Sequence[float],
              difference: Optional[Dict[str, Any]] = None) -> str:
    """Mean ± deviation of trainings for a table, '–' without scores.

    Args:
        scores (Sequence[float]): One per training.
        difference (Optional[Dict[str, Any]]): Fields of a
            :class:`Difference`, written in brackets.

    Returns:
        str: Such as ``20.2 ± 0.2 (+1.2 [+0.4, +2.0], p 0.012: gain)``.
    """
    if not scores:
        return '–'
    summary = summarize(scores)
    text = f'{summary.mean:.1f}'
    if summary.std is not None:
        text += f' ± {summary.std:.1f}'
    if difference is not None:
        text += f' ({Difference(**difference).text()})'
    return text


def compare(arm: Mapping[int, float], baseline: Mapping[int,
                                                        float]) -> Difference:
    """Test the difference between two arms.

    Args:
        arm (Mapping[int, float]): Score of the training of each seed.
        baseline (Mapping[int, float]): The same of the other arm.

    Returns:
        Difference: Paired when both arms have the same seeds. Without a
        verdict where one waits for :func:`judge`.

    Raises:
        ValueError: When an arm has no score, or one is not finite.
    """
    ours, theirs = list(arm.values()), list(baseline.values())
    mean = summarize(ours).mean - summarize(theirs).mean
    is_paired = set(arm) == set(baseline)
    if is_paired:
        theirs = [baseline[seed] for seed in arm]
        spreads = [np.ptp(np.subtract(ours, theirs))]
    else:
        spreads = [np.ptp(ours), np.ptp(theirs)]
    difference = Difference(mean, 'paired' if is_paired else 'Welch')
    if min(len(ours), len(theirs)) < 2:
        return replace(difference, verdict='one run')
    rounding = _ROUNDING * np.abs(ours + theirs).max()
    if max(spreads) <= rounding:
        is_equal = abs(mean) <= rounding
        return replace(
            difference, verdict='equal' if is_equal else 'no spread')
    if is_paired:
        result = stats.ttest_rel(ours, theirs)
    else:
        result = stats.ttest_ind(ours, theirs, equal_var=False)
    interval = result.confidence_interval(1 - LEVEL)
    return replace(
        difference,
        low=float(interval.low),
        high=float(interval.high),
        p_value=float(result.pvalue))


def judge(differences: Sequence[Difference]) -> List[Difference]:
    """Correct the tests of one table for their number, and give verdicts.

    Returns the same with ``adjusted_p`` and ``verdict``. Those that were not
    tested stay as they are and do not count.
    """
    judged = list(differences)
    places = [i for i, d in enumerate(judged) if d.p_value is not None]
    places.sort(key=lambda i: judged[i].p_value or 0)
    adjusted = 0.
    for rank, i in enumerate(places):
        p_value = judged[i].p_value
        assert p_value is not None
        adjusted = max(adjusted, min(1, (len(places) - rank) * p_value))
        verdict = 'unclear'
        if adjusted <= LEVEL:
            verdict = 'gain' if judged[i].mean > 0 else 'loss'
        judged[i] = replace(judged[i], adjusted_p=adjusted, verdict=verdict)
    return judged
