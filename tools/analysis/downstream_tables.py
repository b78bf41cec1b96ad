"""Tables of docs/results on detection and segmentation."""
from typing import Any, Dict, List

from tools.analysis import preparation_tables as tables

_TITLES = {
    'mAP_0.25': 'AP25',
    'mAP_0.50': 'AP50',
    'miou': 'mIoU',
    'acc': 'accuracy'
}
_CASES = ('trained_on', 'rescan_knn', 'rescan_superpoints')


def overfit_table(results: Dict[str, Any]) -> str:
    """Return what every overfitted model reaches, and its time.

    Args:
        results (Dict[str, Any]): See tools/analysis/overfit.py.

    Returns:
        str: Markdown.
    """
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
    return tables.table(header, rows) + (
        f'\nMachine: {some["device"]}, {some["cores"]} cores, torch '
        f'{some["torch"]}.\n')


def _scores(scores: Dict[str, float], metrics: List[str]) -> str:
    if not scores:
        return '–'
    return ' / '.join(f'{scores[metric]:.3f}' for metric in metrics)


def _cost(training: Dict[str, Any]) -> str:
    return (f'{training["seconds"] / 60:.0f} '
            f'({training["cpu_s"] / 60:.0f})')
