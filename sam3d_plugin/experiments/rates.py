"""The two learning rates that every method is tried with.

They are compared on train scenes that neither training nor probe saw; the
better one is to stand in the config of the method.
"""
import argparse
from pathlib import Path
from typing import Any, Dict, List

from ..engine.options import read_config
from . import ladder, records, steps
from .arms import ARMS, BUDGETS
from .ladder_results import MEASURE, MIOU
from .tables import machine_line, table

RATES = ('1e-3', '3e-4')
KEY = 'optim_wrapper.optimizer.lr'
POINTS = 1024  # Of a frame of the probe


def run(args: argparse.Namespace, arms: Dict[str, str]) -> None:
    """Train and probe every method with both rates, half as long as usual.

    Args:
        args (argparse.Namespace): Of ``tools/experiments/zoo.py``; of the
            seeds, the first is used.
        arms (Dict[str, str]): Name of the method by arm.
    """
    found = {}
    for rate in RATES:
        work = args.work_dir / f'rates_{rate}'
        file = work / 'ladder.json'
        options = steps.option_list(args.cfg_options)[1:]
        ladder.run(
            argparse.Namespace(
                **{
                    **vars(args), 'arms': list(arms),
                    'seeds': args.seeds[:1],
                    'work_dir': work,
                    'json': str(file),
                    'cfg_options': [*options, f'{KEY}={rate}'],
                    'length': BUDGETS[args.budget].length // 2,
                    'probe_points': POINTS,
                    'held_out': True
                }))
        found[rate] = records.read_json(file)
    results = collect(found, arms, args.budget)
    records.write_record(Path(args.json).with_name('zoo_rates.json'), results)
    print(rates_table(results))


def collect(found: Dict[str, Any], arms: Dict[str, str],
            budget: str) -> Dict[str, Any]:
    """Put the scores of both rates side by side.

    Args:
        found (Dict[str, Any]): Results of the ladder by rate.
        arms (Dict[str, str]): Name of the method by arm.
        budget (str): ``'mini'`` or ``'full'``.

    Returns:
        Dict[str, Any]: ``rows`` with method, arm, mIoU by rate, and the rate
        of the config; what all have in common.
    """
    first = found[RATES[0]]
    rows: List[Dict[str, Any]] = []
    for arm, method in arms.items():
        config = BUDGETS[budget].configs[ARMS[arm].steps[-1]]
        rows.append(
            dict(
                method=method,
                arm=arm,
                scores={
                    rate: results['arms'][arm][MIOU[MEASURE]][0]
                    for rate, results in found.items()
                    if arm in results['arms']
                },
                chosen=read_config(config, {}).optim_wrapper.optimizer.lr))
    return dict(rows=rows, data=first['data'], machine=first['machine'])


def rates_table(results: Dict[str, Any]) -> str:
    """Return the scores of both rates in Markdown."""
    rows = [[
        row['method'],
        *(f'{100 * row["scores"][rate]:.1f}' if rate in row['scores'] else '–'
          for rate in RATES), f'{row["chosen"]:g}'
    ] for row in results['rows']]
    header = ['method', *(f'mIoU, rate {rate}' for rate in RATES), 'config']
    return table(header, rows) + machine_line(results['machine'])
