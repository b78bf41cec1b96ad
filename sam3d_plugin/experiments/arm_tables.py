"""Arms side by side, from their records."""
import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..store.errors import UserError
from . import comparison, records, tables

ROOT = Path(__file__).resolve().parents[2]
REPORTED = ROOT / 'docs' / 'results' / 'reported.json'
METRICS = [m for m in tables.METRICS if m != 'acc']
# Options that say where data lie, and what an arm starts from, which is what
# arms are about.
EXPECTED = ('data_root', 'load_from', 'model.backbone.init_cfg')
CHOICES = dict(last='last epoch', best='best epoch on val (optimistic)')
Arm = List[Dict[str, Any]]


def scores_of(arm: Arm, checkpoint: str, metric: str) -> Dict[int, float]:
    """Score of each training in percent, the mean of its evaluations.

    Args:
        arm (Arm): Its runs.
        checkpoint (str): 'last' or 'best'.
        metric (str): Key of the metric.

    Returns:
        Dict[int, float]: By seed; runs without this checkpoint are left out.

    Raises:
        ValueError: When a run lacks the metric.
    """
    found = {}
    for run in arm:
        evaluations = run['scores'].get(checkpoint)
        if not evaluations:
            continue
        missing = [metric for scores in evaluations if metric not in scores]
        if missing:
            raise UserError(
                f'{run["arm"]} was not scored with {metric}; it has '
                f'{", ".join(evaluations[0])}: choose other --metrics')
        scores = [100 * scores[metric] for scores in evaluations]
        found[run['seed']] = comparison.summarize(scores).mean
    return found


def compare_arms(arms: Dict[str, Arm], baseline: str,
                 metrics: Sequence[str]) -> List[Dict[str, Any]]:
    """Put every arm, checkpoint and metric beside the baseline.

    Returns one entry per cell of the tables; see :func:`judge` for its
    ``difference``.
    """
    reported = json.loads(REPORTED.read_text())
    cells = []
    for checkpoint in CHOICES:
        for name, arm in arms.items():
            for metric in metrics:
                scores = scores_of(arm, checkpoint, metric)
                theirs = scores_of(arms[baseline], checkpoint, metric)
                if not scores:
                    continue
                summary = comparison.summarize(list(scores.values()))
                cell: Dict[str, Any] = dict(
                    arm=name,
                    checkpoint=checkpoint,
                    metric=metric,
                    trainings=summary.count,
                    mean=summary.mean,
                    std=summary.std,
                    reported=_reported(reported, arm[0], metric))
                if name != baseline and theirs:
                    cell['difference'] = asdict(
                        comparison.compare(scores, theirs))
                cells.append(cell)
        judge([cell for cell in cells if cell['checkpoint'] == checkpoint])
    return cells


def judge(cells: List[Dict[str, Any]]) -> None:
    """Write corrected p values and verdicts into the cells of one table.

    Args:
        cells (List[Dict[str, Any]]): Those that are not of the baseline have
            the fields of a ``comparison.Difference`` in ``difference``.
    """
    tested = [cell for cell in cells if 'difference' in cell]
    judged = comparison.judge(
        [comparison.Difference(**cell['difference']) for cell in tested])
    for cell, difference in zip(tested, judged):
        cell['difference'] = asdict(difference)


def _reported(reported: Dict[str, Any], run: Dict[str, Any],
              metric: str) -> Optional[float]:
    """What the authors of an arm reported, in percent."""
    # Fewer labels or another size of data are not what they measured.
    rows = reported['configs'].get(run['config'], {})
    return (rows.get(run['kind']) or {}).get(metric)


def table(cells: List[Dict[str, Any]], checkpoint: str, metrics: Sequence[str],
          baseline: str) -> str:
    """Write the table of one checkpoint in Markdown.

    Returns its lines; '' when no run has this checkpoint.
    """
    chosen = [cell for cell in cells if cell['checkpoint'] == checkpoint]
    if not chosen:
        return ''
    header = [f'{CHOICES[checkpoint]}, %', 'trainings']
    for metric in metrics:
        title = tables.METRICS.get(metric, metric)
        header += [title, f'− {baseline}', f'{title} reported']
    rows = []
    for name in dict.fromkeys(cell['arm'] for cell in chosen):
        mine = {c['metric']: c for c in chosen if c['arm'] == name}
        row = [name, str(next(iter(mine.values()))['trainings'])]
        for metric in metrics:
            row += _cell_texts(mine[metric])
        rows.append(row)
    return tables.table(header, rows)


def _cell_texts(cell: Dict[str, Any]) -> List[str]:
    """Score, difference and what was reported, as text."""
    spread = '' if cell['std'] is None else f' ± {cell["std"]:.1f}'
    texts = [f'{cell["mean"]:.1f}{spread}']
    if 'difference' in cell:
        texts.append(comparison.Difference(**cell['difference']).text())
    else:
        texts.append('–')
    reported = cell['reported']
    return [*texts, '–' if reported is None else f'({reported:.1f})']


def shared_metrics(arms: Dict[str, Arm]) -> List[str]:
    """Those of ``METRICS`` that every arm was scored with."""
    keys = [
        set(run['scores']['last'][0]) for arm in arms.values() for run in arm
    ]
    found = [metric for metric in METRICS if all(metric in k for k in keys)]
    if not found:
        raise UserError('the arms share no metric, so they are not of one '
                        'task; name some with --metrics')
    return found


def read_arms(folders: Sequence[Path]) -> Dict[str, Arm]:
    """Read arms that can be compared.

    Args:
        folders (Sequence[Path]): One for each.

    Returns:
        Dict[str, Arm]: Runs by name.

    Raises:
        ValueError: When two have the same name, or were evaluated on
            different data.
    """
    arms: Dict[str, Arm] = {}
    seen: List[Tuple[str, Dict[str, str]]] = []
    for folder in folders:
        runs = records.read_records(folder)
        name = runs[0]['arm']
        if name in arms:
            raise UserError(f'two arms are named {name}')
        arms[name] = runs
        for scored in map(records.scored_checksums, runs):
            for other, theirs in seen:
                conflict = records.data_conflict(theirs, scored)
                if conflict:
                    raise UserError(
                        f'{other} and {name} were evaluated on different '
                        f'data: {conflict}; evaluate both on the same data')
            if (name, scored) not in seen:
                seen.append((name, scored))
    return arms


def describe_differences(arms: Dict[str, Arm]) -> List[str]:
    """Sentences on what arms differ in that readers may not expect.

    Returns one sentence for each setting and each file of data that has the
    same name and other content.
    """
    found = {name: _settings(runs) for name, runs in arms.items()}
    checksums = {name: _checksums(runs) for name, runs in arms.items()}
    notes = []
    for key in dict.fromkeys(key for arm in found.values() for key in arm):
        values = {name: arm.get(key, 'not set') for name, arm in found.items()}
        if len(set(values.values())) > 1:
            texts = [f'{value} ({name})' for name, value in values.items()]
            notes.append(f'Arms differ in {key}: {", ".join(texts)}.')
    for key in dict.fromkeys(key for arm in checksums.values() for key in arm):
        if len({arm[key] for arm in checksums.values() if key in arm}) > 1:
            notes.append(f'Arms differ in the content of {key}.')
    commits = {n: [run['commit'] for run in runs] for n, runs in arms.items()}
    return notes + records.describe_commits(commits)


def _settings(runs: Arm) -> Dict[str, str]:
    """Settings of an arm that scores depend on, as texts."""
    counts = sorted({len(run['scores']['last']) for run in runs})
    options = runs[0].get('options') or {}
    return {
        'config': runs[0]['config'],
        'evaluations': ' or '.join(map(str, counts)),
        **{
            key: str(value)
            for key, value in options.items() if key not in EXPECTED
        }
    }


def _checksums(runs: Arm) -> Dict[str, str]:
    """Checksums of an arm's data, those of all seeds together."""
    names = dict.fromkeys(name for run in runs for name in run['data'])
    found = {
        name: {run['data'].get(name)
               for run in runs} - {None}
        for name in names
    }
    return {
        name: str(sorted(checksums))
        for name, checksums in found.items() if checksums
    }


def run(args: argparse.Namespace) -> None:
    """Print the tables, and write their cells where --json says."""
    arms = read_arms(args.arms)
    baseline = args.baseline or next(iter(arms))
    if baseline not in arms:
        raise UserError(f'--baseline {baseline} is none of {", ".join(arms)}')
    metrics = args.metrics or shared_metrics(arms)
    cells = compare_arms(arms, baseline, metrics)
    print('\n'.join(
        filter(None,
               (table(cells, name, metrics, baseline) for name in CHOICES))))
    print('± is the standard deviation over trainings, [ ] the 95 % '
          "confidence interval, p is after Holm's correction over the table. "
          'Reported: by the authors, not measured here.')
    notes = describe_differences(arms)
    print('\n'.join(notes))
    if args.json:
        records.write_record(
            Path(args.json),
            dict(baseline=baseline, metrics=metrics, cells=cells, notes=notes))
