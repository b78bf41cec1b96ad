"""What the arms of the ladder scored, and which differences count."""
from dataclasses import asdict
from typing import Any, Dict, List, Tuple

from . import records
from .comparison import Difference, compare, judge, summarize
from .tables import machine_line, table

# What is measured: three nearest tokens at points. Scores of own tokens are
# printed beside it and not compared, since borders of regions raise them.
MEASURE, RARE = 'three_nn', 'rare'
_STAGE1 = 'stage1_sam_balanced'
# Arms of which the first should be the better, and the scores that count.
COMPARISONS: Tuple[Tuple[str, str, Tuple[str, ...]], ...] = (
    (_STAGE1, 'random_sam', (MEASURE, )),
    ('stage1_knn_balanced', 'random_knn', (MEASURE, )),
    (_STAGE1, 'stage1_knn_balanced', (MEASURE, )),
    ('ours_sam', 'ours_knn', (MEASURE, )),
    (_STAGE1, 'stage1_sam_plain', (MEASURE, RARE)),
    ('stage1_knn_balanced', 'stage1_knn_plain', (MEASURE, RARE)),
    ('ours_sam', _STAGE1, (MEASURE, )),
    ('ours_knn', 'stage1_knn_balanced', (MEASURE, )),
    (_STAGE1, f'{_STAGE1}_handcrafted', (MEASURE, )),
    ('paper_sam', _STAGE1, (MEASURE, )),
    ('paper_sam_long', _STAGE1, (MEASURE, )),
    ('ours_sam', 'joint_sam', (MEASURE, )),
    ('point_mae_knn', 'random_knn', (MEASURE, )),
)
# mIoU by read-out: how it is called in the file, and in the table.
MIOU = dict(own='miou', three_nn='miou_three_nn', rare='miou_rare')
_READ_OUTS = dict(own='own', three_nn='3-NN', rare='rare third')
SCORES = {
    'miou_three_nn': 'mIoU 3-NN',
    'macc_three_nn': 'mAcc 3-NN',
    'miou_rare': 'rare third',
    'miou': 'mIoU own',
    'macc': 'mAcc own'
}

# Of results that do not say it: a half one was an option, named in the budget.
PRECISION = 'float32'

Results = Dict[Tuple[str, int], Dict[str, Any]]


def aggregate(results: Results) -> Dict[str, Any]:
    """Put the results of all arms and seeds together.

    Returns them by arm: ``seeds``, and in their order the scores, ``seconds``
    in total and ``stage_seconds``, ``frames_seen``, ``tokens_per_frame``,
    ``was_resumed``, ``precision`` of the trainings, ``commits`` and ``hash``,
    what the result depends on.
    """
    arms: Dict[str, Any] = {}
    for name in dict.fromkeys(arm for arm, _ in results):
        seeds = sorted(seed for arm, seed in results if arm == name)
        runs = [results[name, seed] for seed in seeds]
        columns: Dict[str, List[Any]] = dict(seeds=seeds)
        for key in (*SCORES, 'seconds', 'stage_seconds', 'frames_seen',
                    'tokens_per_frame', 'was_resumed', 'commit', 'hash'):
            columns[key] = [run[key] for run in runs]
        columns['commits'] = columns.pop('commit')
        columns['precision'] = [
            run.get('precision', PRECISION) for run in runs
        ]
        arms[name] = columns
    return arms


def separate(arms: Dict[str, Any]) -> Results:
    """What :func:`aggregate` has put together."""
    results: Results = {}
    for name, columns in arms.items():
        lists = dict(columns, commit=columns['commits'])
        for place, seed in enumerate(lists.pop('seeds')):
            results[name, seed] = {
                key: column[place]
                for key, column in lists.items() if key != 'commits'
            }
    return results


def comparisons(arms: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Compare arms as :data:`COMPARISONS` say, as cells of one table.

    Returns ``arm``, ``baseline``, ``read_out`` (a key of ``MIOU``) and the
    fields of a ``Difference`` of the mIoU.
    """
    found: List[Dict[str, Any]] = []
    differences: List[Difference] = []
    for better, worse, read_outs in COMPARISONS:
        if better not in arms or worse not in arms:
            continue
        for read_out in read_outs:
            ours, theirs = (
                _by_seed(arms[a], MIOU[read_out]) for a in (better, worse))
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
    arms = results['arms']
    scores = [
        key for key in SCORES if all(key in arm for arm in arms.values())
    ]
    rows = [[
        f'`{name}`',
        str(len(arm['seeds'])), *(_percent(arm[key]) for key in scores),
        f'{sum(arm["seconds"]) / len(arm["seconds"]) / 60:.1f}'
    ] for name, arm in arms.items()]
    header = ['arm', 'seeds', *(SCORES[key] for key in scores), 'min']
    lines: Dict[str, Dict[str, str]] = {}
    for entry in results['comparisons']:
        line = lines.setdefault(f'{entry["arm"]} – {entry["baseline"]}', {})
        line[entry['read_out']] = Difference(**entry['difference']).text(
            2, 100)
    columns = [
        key for key in _READ_OUTS
        if any(key in line for line in lines.values())
    ]
    differences = table([
        'mIoU difference [95 % interval], p after Holm', *(_READ_OUTS[key]
                                                           for key in columns)
    ], [[name, *(line.get(key, '–') for key in columns)]
        for name, line in lines.items()])
    notes = [f'Not finished: {", ".join(results["missing"])}.'
             ] if results['missing'] else []
    notes += records.describe_commits({
        n: arm['commits']
        for n, arm in arms.items()
    })
    counts = ', '.join(f'{count} frames of {split} scenes'
                       for split, count in results['data']['frames'].items())
    notes.append(f'Probe: {counts}. Points read the three nearest tokens; '
                 'rare third: mIoU of the classes with the fewest points of '
                 'the train scenes; own: each point reads its own token, not '
                 'comparable between tokenizers.')
    return (table(header, rows) + '\n' + differences +
            ''.join(f'\n{note}\n'
                    for note in notes) + machine_line(results['machine']))
