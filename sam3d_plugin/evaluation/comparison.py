"""When a difference between two arms counts.

An arm is one configuration, trained with several seeds. Trainings are what
is independent: several evaluations of one training are averaged first.
"""
import math
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence

# A difference counts beyond so many standard errors.
ERRORS_OF_A_GAIN = 2.


@dataclass(frozen=True)
class Summary:
    """A score over the trainings of an arm.

    Attributes:
        count (int): Number of trainings.
        mean (float): Their mean.
        std (Optional[float]): Their standard deviation, with n - 1 in the
            denominator; None for a single training.
    """
    count: int
    mean: float
    std: Optional[float]

    @property
    def standard_error(self) -> Optional[float]:
        """Standard error of the mean; None for a single training."""
        return None if self.std is None else self.std / math.sqrt(self.count)


@dataclass(frozen=True)
class Difference:
    """By how much one arm is better than another.

    Attributes:
        mean (float): Difference of the means, positive when it is better.
        standard_error (Optional[float]): Its standard error; None when an
            arm, or every pair, is a single training.
        count (int): Trainings of the smaller arm, or pairs.
        is_paired (bool): Whether runs of the same seed were compared.
    """
    mean: float
    standard_error: Optional[float]
    count: int
    is_paired: bool

    @property
    def verdict(self) -> str:
        """'gain', 'loss', 'unclear', or 'one run' without an error."""
        if self.standard_error is None:
            return 'one run'
        margin = ERRORS_OF_A_GAIN * self.standard_error
        if abs(self.mean) <= margin or self.mean == 0:
            return 'unclear'
        return 'gain' if self.mean > 0 else 'loss'


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
        raise ValueError('an arm without a finished training has no score')
    if not all(map(math.isfinite, scores)):
        raise ValueError(f'a score is not finite: {list(scores)}; look at '
                         'that run before comparing')
    mean = math.fsum(scores) / len(scores)
    if len(scores) == 1:
        return Summary(1, mean, None)
    squares = math.fsum((score - mean)**2 for score in scores)
    return Summary(len(scores), mean, math.sqrt(squares / (len(scores) - 1)))


def compare(arm: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Compare two arms whose trainings do not belong together.

    Args:
        arm (Sequence[float]): One score per training.
        baseline (Sequence[float]): One score per training.

    Returns:
        Difference: The errors of both means add as squares.
    """
    ours, theirs = summarize(arm), summarize(baseline)
    error = None
    if ours.standard_error is not None and theirs.standard_error is not None:
        error = math.hypot(ours.standard_error, theirs.standard_error)
    return Difference(ours.mean - theirs.mean, error,
                      min(ours.count, theirs.count), False)


def compare_pairs(arm: Mapping[int, float],
                  baseline: Mapping[int, float]) -> Difference:
    """Compare the trainings of two arms that share a seed.

    What a seed changes in both arms, the order of the scenes or the few
    labelled ones, cancels out.

    Args:
        arm (Mapping[int, float]): Score of the training of each seed.
        baseline (Mapping[int, float]): The same of the other arm.

    Returns:
        Difference: Over the seeds that both arms have.

    Raises:
        ValueError: When they share no seed.
    """
    seeds = sorted(set(arm) & set(baseline))
    if not seeds:
        raise ValueError(f'no training pairs: the seeds of one arm are '
                         f'{sorted(arm)}, of the other {sorted(baseline)}')
    gaps = summarize([arm[seed] - baseline[seed] for seed in seeds])
    return Difference(gaps.mean, gaps.standard_error, gaps.count, True)
