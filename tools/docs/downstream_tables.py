"""Tables of docs/results on detection and segmentation."""
from typing import Any, Dict, List

from sam3d_plugin.experiments.comparison import Difference
from sam3d_plugin.experiments.tables import machine_line, table

_TITLES = {
    'mAP_0.25': 'AP25',
    'mAP_0.50': 'AP50',
    'miou': 'mIoU',
    'acc': 'accuracy',
    'acc_cls': 'mAcc'
}
# Of few_labels.py.
_TASKS = {'detection_own_origin': "detection, data set's origin"}
_CASES = ('trained_on', 'rescan_knn', 'rescan_superpoints')


def overfit_table(results: Dict[str, Any]) -> str:
    """Return what every overfitted model reaches, and its time."""
    rows: List[List[str]] = []
    for run in results['runs'].values():
        metrics = list(run['scores']['trained_on'])
        rows.append([
            f'`{run["config"]}`',
            ' / '.join(_TITLES[metric] for metric in metrics),
            *(_scores(run['scores'].get(case), metrics) for case in _CASES),
            str(run['steps']),
            _cost(run['training'])
        ])
    header = [
        'config', 'score', 'trained on', 'rescan, kNN tokens',
        'rescan, superpoint tokens', 'steps', 'minutes (of one core)'
    ]
    some = next(iter(results['runs'].values()))['hardware']
    return table(header, rows) + (
        f'\nMachine: {some["device"]}, {some["cores"]} cores, torch '
        f'{some["torch"]}.\n')


def _scores(scores: Dict[str, float], metrics: List[str]) -> str:
    if not scores:
        return '–'
    return ' / '.join(f'{scores[metric]:.3f}' for metric in metrics)


def _cost(training: Dict[str, Any]) -> str:
    return (f'{training["seconds"] / 60:.0f} '
            f'({training["cpu_s"] / 60:.0f})')


def few_labels_table(results: Dict[str, Any]) -> str:
    """Return the arms of every task side by side."""
    rows: List[List[str]] = []
    arms: List[str] = []
    for task, comparison in results.items():
        cells = [c for c in comparison['cells'] if c['checkpoint'] == 'last']
        arms = list(dict.fromkeys(cell['arm'] for cell in cells))
        for metric in dict.fromkeys(cell['metric'] for cell in cells):
            mine = {c['arm']: c for c in cells if c['metric'] == metric}
            rows.append(
                [f'{_TASKS.get(task, task)}, {_TITLES[metric]}'] +
                [_arm_text(mine[arm]) if arm in mine else '–' for arm in arms])
    notes = [
        f'\n{_TASKS.get(task, task)}: {note}\n'
        for task, comparison in results.items() for note in comparison['notes']
    ]
    return table(['a tenth of the labels', *arms], rows) + ''.join(notes)


def _arm_text(cell: Dict[str, Any]) -> str:
    text = f'{cell["mean"]:.1f} ± {cell["std"]:.1f}'
    if 'difference' in cell:
        text += f' ({Difference(**cell["difference"]).text()})'
    return text


def speed_table(results: Dict[str, Any]) -> str:
    """Return time and memory of every detector."""
    rows = [[
        f'`{name}`', f'{entry["points"]:,}', f'{entry["train_s"]:.2f}',
        f'{entry["train_mb"]:,}', f'{entry["predict_s"]:.2f}',
        f'{entry["predict_mb"]:,}',
        _share(entry)
    ] for name, entry in results['configs'].items()]
    header = [
        'config', 'points', 'training step, s', 'MB', 'prediction, s', 'MB',
        'assignment, of the step'
    ]
    giou = results['giou']
    return table(header, rows) + (
        f'\nGeneralized IoU of 8×256×64 rotated boxes: '
        f'{giou["vectorised_s"] * 1000:.0f} ms, {giou["speedup"]:.0f} times '
        'as fast as pair by pair in Python.\n') + machine_line(
            results['machine'])


def _share(entry: Dict[str, Any]) -> str:
    if 'assignment_s' not in entry:
        return '–'
    return f'{entry["assignment_s"] / entry["train_s"]:.1%}'
