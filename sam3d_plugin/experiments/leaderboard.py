"""Rows of the board of results, each from the records of one arm.

``evaluate.py`` leaves a row beside its records. A row in
``docs/results/board/BENCHMARK/NAME.json`` is on the board
(docs/results/board.md); rows of one benchmark were evaluated on the same data.
"""
from itertools import combinations
from pathlib import Path
from typing import Any, Dict, List

from ..store.errors import RecordError
from . import comparison, records, tables
from .arm_tables import EXPECTED, METRICS, Arm, scores_of

ROW = 'row.json'
# Of the first METRICS, as many are columns.
_COLUMNS = 3
Row = Dict[str, Any]


def row_of(runs: Arm) -> Row:
    """Summarize the runs of an arm.

    Args:
        runs (Arm): Its records.

    Returns:
        Row: Plain values. ``scores`` has, by metric, mean and standard
        deviation over trainings in percent, of the last checkpoint;
        ``scored_on`` checksums of the data by name.
    """
    first = runs[0]
    shared = [
        metric for metric in METRICS
        if all(metric in scores for run in runs
               for scores in run['scores']['last'])
    ]
    summaries = {
        metric:
        comparison.summarize(list(scores_of(runs, 'last', metric).values()))
        for metric in shared
    }
    seconds = [run['seconds']['training'] for run in runs]
    minutes = None
    if all(seconds):
        minutes = round(sum(seconds) / len(seconds) / 60, 1)
    return dict(
        arm=first['arm'],
        config=first['config'],
        kind=first.get('kind'),
        options={
            key: value
            for key, value in (first.get('options') or {}).items()
            if key not in EXPECTED
        },
        encoders=[run['encoder'] for run in runs if run.get('encoder')],
        trainings=len(runs),
        evaluations=len(first['scores']['last']),
        scored_on=records.scored_checksums(first),
        scores={
            metric:
            dict(
                mean=round(found.mean, 3),
                std=None if found.std is None else round(found.std, 3))
            for metric, found in summaries.items()
        },
        minutes=minutes,
        commit=', '.join(dict.fromkeys(run['commit'] for run in runs)),
        hardware=first.get('hardware'))


def write_row(folder: Path) -> Path:
    """Write the row of an arm beside its records; returns its path.

    Raises ValueError when the records are not runs of one arm.
    """
    path = folder / ROW
    records.write_record(path, row_of(records.read_records(folder)))
    return path


def board_table(boards: Dict[str, Dict[str, Row]]) -> str:
    """Return a table for each benchmark, the best arm first.

    Args:
        boards (Dict[str, Dict[str, Row]]): Rows by benchmark and file.

    Returns:
        str: Markdown.

    Raises:
        RecordError: When rows of a benchmark were evaluated on different
            data.
    """
    parts = []
    for name, rows in sorted(boards.items()):
        _check_data(name, rows)
        found = list(rows.values())
        metrics = [m for m in METRICS if all(m in r['scores'] for r in found)]
        if not metrics:
            raise RecordError(f'rows of board/{name} share no metric: they '
                              'are of different tasks; give each its own')
        metrics = metrics[:_COLUMNS]
        found.sort(key=lambda r: -r['scores'][metrics[0]]['mean'])
        header = ['arm', 'config', 'start', 'trainings']
        header += [f'{tables.METRICS[metric]}, %' for metric in metrics]
        lines = [_cells(row, metrics) for row in found]
        files = ', '.join(f'`{file}` {checksum[:8]}'
                          for file, checksum in found[0]['scored_on'].items())
        parts.append(f'\n### {name.replace("_", " ")}\n\n' +
                     tables.table([*header, 'minutes', 'commit'], lines) +
                     f'\nEvaluated on {files}.\n')
    return ''.join(parts) + '\n'


def _check_data(name: str, rows: Dict[str, Row]) -> None:
    for (first, one), (second, other) in combinations(sorted(rows.items()), 2):
        conflict = records.data_conflict(one['scored_on'], other['scored_on'])
        if conflict:
            raise RecordError(
                f'board/{name}/{second}.json and {first}.json were evaluated '
                f'on different data: {conflict}; give one a benchmark of its '
                'own')


def _cells(row: Row, metrics: List[str]) -> List[str]:
    """A row of the table, as text."""
    scores = []
    for metric in metrics:
        score = row['scores'][metric]
        spread = '' if score['std'] is None else f' ± {score["std"]:.1f}'
        scores.append(f'{score["mean"]:.1f}{spread}')
    start = row['encoders'][0]['file'] if row['encoders'] else row['kind']
    return [
        row['arm'], f'`{row["config"]}`', start or '–',
        str(row['trainings']), *scores,
        tables.number(row['minutes']), row['commit']
    ]
