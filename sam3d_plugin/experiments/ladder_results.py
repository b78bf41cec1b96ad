"""What the arms of the ladder scored, and which differences count."""
from dataclasses import asdict
from typing import Any, Dict, List, Tuple

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


def _percent(scores: List[float]) -> str:
    """Mean ± std in per cent; no std for one seed."""
    summary = summarize([100 * score for score in scores])
    if summary.std is None:
        return f'{summary.mean:.2f}'
    return f'{summary.mean:.2f} ± {summary.std:.2f}'


def ladder_table(results: Dict[str, Any]) -> str:
    """Return the tables of arms and comparisons in Markdown."""
    rows = [[
        f'`{name}`',
        str(len(arm['seeds'])), *(_percent(arm[key]) for key in SCORES),
        f'{sum(arm["seconds"]) / len(arm["seconds"]) / 60:.1f}'
    ] for name, arm in results['arms'].items()]
    header = [
        'arm', 'seeds', 'mIoU own', 'mAcc own', 'mIoU 3-NN', 'mAcc 3-NN', 'min'
    ]
    lines: Dict[str, List[str]] = {}
    for entry in results['comparisons']:  # own tokens, then three nearest
        text = Difference(**entry['difference']).text(2, 100)
        lines.setdefault(f'{entry["arm"]} – {entry["baseline"]}',
                         []).append(text)
    differences = table(
        ['mIoU difference [95 % interval], p after Holm', 'own', '3-NN'],
        [[name, *cells] for name, cells in lines.items()])
    notes = [f'Not finished: {", ".join(results["missing"])}.'
             ] if results['missing'] else []
    notes += records.describe_commits({
        n: arm['commits']
        for n, arm in results['arms'].items()
    })
    counts = ', '.join(f'{count} frames of {split} scenes'
                       for split, count in results['data']['frames'].items())
    notes.append(f'Probe: {counts}.')
    return (table(header, rows) + '\n' + differences +
            ''.join(f'\n{note}\n'
                    for note in notes) + machine_line(results['machine']))
