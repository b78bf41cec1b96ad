"""What the arms of the ladder scored, and which differences count."""
from dataclasses import asdict
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from rich.console import Console
from rich.table import Table

from . import records
from .comparison import Difference, compare, judge, summarize
from .tables import machine_line, table

# Arms of which the first should be the better.
COMPARISONS: Tuple[Tuple[str, str], ...] = (
    ('full_knn', 'stage1_knn'),
    ('full_sam', 'stage1_sam'),
    ('stage1_knn', 'random_knn'),
    ('stage1_sam', 'random_sam'),
    ('random_sam', 'random_knn'),
    ('stage1_sam', 'stage1_knn'),
    ('full_sam', 'full_knn'),
    ('stage1_knn', 'point_mae_knn'),
    ('full_knn', 'point_mae_knn'),
    ('point_mae_knn', 'random_knn'),
    ('two_full_stages_knn', 'stage1_knn'),
    ('two_full_stages_sam', 'stage1_sam'),
    ('two_full_stages_knn', 'full_knn'),
    ('two_full_stages_sam', 'full_sam'),
)
# Scores by read-out, as they are called in the file.
MIOU = dict(own='miou', three_nn='miou_three_nn')
SCORES = ('miou', 'macc', 'miou_three_nn', 'macc_three_nn')

Results = Dict[Tuple[str, int], Dict[str, Any]]


class Row(NamedTuple):
    """A line of the table of arms.

    Attributes:
        arm (str): Its name.
        seeds (int): How many are finished.
        scores (Tuple[str, ...]): Mean ± std of ``SCORES``, in per cent.
        minutes (str): Mean time of an arm and seed.
    """
    arm: str
    seeds: int
    scores: Tuple[str, ...]
    minutes: str


def aggregate(results: Results) -> Dict[str, Any]:
    """Put the results of all arms and seeds together.

    Returns them by arm: ``seeds``, and in their order the scores, ``seconds``
    in total and ``stage_seconds``, ``frames_seen``, ``tokens_per_frame``,
    ``was_resumed`` and ``commits``.
    """
    arms: Dict[str, Any] = {}
    for name in dict.fromkeys(arm for arm, _ in results):
        seeds = sorted(seed for arm, seed in results if arm == name)
        runs = [results[name, seed] for seed in seeds]
        columns: Dict[str, List[Any]] = dict(seeds=seeds)
        for key in (*SCORES, 'seconds', 'stage_seconds', 'frames_seen',
                    'tokens_per_frame', 'was_resumed', 'commit'):
            columns[key] = [run[key] for run in runs]
        columns['commits'] = columns.pop('commit')
        arms[name] = columns
    return arms


def comparisons(arms: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Compare arms in both read-outs, as rows of one table.

    Returns ``arm``, ``baseline``, ``read_out`` and the fields of a
    ``Difference`` of the mIoU.
    """
    found: List[Dict[str, Any]] = []
    differences: List[Difference] = []
    for better, worse in COMPARISONS:
        if better not in arms or worse not in arms:
            continue
        for read_out, key in MIOU.items():
            ours, theirs = (_by_seed(arms[a], key) for a in (better, worse))
            found.append(dict(arm=better, baseline=worse, read_out=read_out))
            differences.append(compare(ours, theirs))
    return [
        dict(entry, difference=asdict(difference))
        for entry, difference in zip(found, judge(differences))
    ]


def _by_seed(arm: Dict[str, Any], key: str) -> Dict[int, float]:
    return dict(zip(arm['seeds'], arm[key]))


def arm_rows(results: Dict[str, Any]) -> List[Row]:
    """Lines of the table of arms."""
    rows = []
    for name, arm in results['arms'].items():
        minutes = sum(arm['seconds']) / len(arm['seconds']) / 60
        rows.append(
            Row(name, len(arm['seeds']),
                tuple(_percent(arm[key]) for key in SCORES), f'{minutes:.1f}'))
    return rows


def _percent(scores: List[float]) -> str:
    """Mean ± std in per cent; no std for one seed."""
    summary = summarize([100 * score for score in scores])
    if summary.std is None:
        return f'{summary.mean:.2f}'
    return f'{summary.mean:.2f} ± {summary.std:.2f}'


def comparison_rows(results: Dict[str, Any]) -> List[List[str]]:
    """Lines of the table of comparisons.

    Returns the arms, difference with interval in percent and verdict by own
    token, and the same by interpolation.
    """
    lines: Dict[str, Dict[str, str]] = {}
    for entry in results['comparisons']:
        name = f'{entry["arm"]} – {entry["baseline"]}'
        text = Difference(**entry['difference']).text(2, 100)
        lines.setdefault(name, {})[entry['read_out']] = text
    return [[name, cells['own'], cells['three_nn']]
            for name, cells in lines.items()]


_ARM_HEADER = [
    'arm', 'seeds', 'mIoU own', 'mAcc own', 'mIoU 3-NN', 'mAcc 3-NN', 'min'
]
_COMPARISON_HEADER = [
    'mIoU difference [95 % interval], p after Holm', 'own', '3-NN'
]


def show(results: Dict[str, Any]) -> None:
    """Print both tables."""
    console = Console()
    arms = Table(*_ARM_HEADER, title='frozen encoder, linear probe, per cent')
    for row in arm_rows(results):
        arms.add_row(row.arm, str(row.seeds), *row.scores, row.minutes)
    console.print(arms)
    differences = Table(*_COMPARISON_HEADER)
    for cells in comparison_rows(results):
        differences.add_row(*cells)
    console.print(differences)
    if results['missing']:
        console.print('missing: ' + ', '.join(results['missing']))


def ladder_table(results: Dict[str, Any]) -> str:
    """Return the tables of README.md."""
    arms = table(_ARM_HEADER,
                 [[f'`{row.arm}`',
                   str(row.seeds), *row.scores, row.minutes]
                  for row in arm_rows(results)])
    differences = table(_COMPARISON_HEADER, comparison_rows(results))
    missing: Optional[str] = ', '.join(results['missing'])
    note = f'\nNot finished: {missing}.\n' if missing else ''
    data = results['data']
    counts = ', '.join(f'{count} frames of {split} scenes'
                       for split, count in data['frames'].items())
    frames = f'\nProbe: {counts}.\n'
    commits = {n: arm['commits'] for n, arm in results['arms'].items()}
    notes = ''.join(f'\n{text}\n'
                    for text in records.describe_commits(commits))
    return (arms + '\n' + differences + note + notes + frames +
            machine_line(results['machine']))
