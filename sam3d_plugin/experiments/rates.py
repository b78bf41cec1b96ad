"""The two learning rates that every method is tried with.

They are compared on train scenes that neither training nor probe saw; the
better one stands in the config of the method.
"""
import argparse
from pathlib import Path
from typing import Any, Dict, List

from ..engine.options import read_config
from . import ladder, records, steps, zoo_rows
from .arms import ARMS, BUDGETS, data_checksums
from .ladder_results import MEASURE, MIOU
from .tables import machine_line, table

RATES = dict(mini=('1e-3', '3e-4'), full=('1e-3', '5e-4'))
KEY = 'optim_wrapper.optimizer.lr'


def run(args: argparse.Namespace, arms: Dict[str, str]) -> None:
    """Train and probe every method with both rates, half as long as usual.

    Rows of other methods stay in the result file.

    Args:
        args (argparse.Namespace): Of ``tools/experiments/zoo.py``; of the
            seeds, the first is used.
        arms (Dict[str, str]): Name of the method by arm.

    Raises:
        UserError: When the file has another budget or other data.
    """
    options = steps.option_list(args.cfg_options)[1:]
    runs = {}
    for rate in RATES[args.budget]:
        work = args.work_dir / f'rates_{rate}'
        runs[rate] = argparse.Namespace(
            **{
                **vars(args), 'arms': list(arms),
                'seeds': args.seeds[:1],
                'work_dir': work,
                'json': str(work / 'ladder.json'),
                'cfg_options': [*options, f'{KEY}={rate}'],
                'length': BUDGETS[args.budget].length // 2,
                'probe_points': None,
                'held_out': True
            })
    results_file = Path(args.json).with_name('zoo_rates.json')
    common = dict(rates=list(runs), seed=args.seeds[0])
    planned = ladder.collect(
        next(iter(runs.values())), data_checksums(args.data_root))
    zoo_rows.read(results_file, {**planned, **common})
    found = {}
    for rate, run_args in runs.items():
        ladder.run(run_args)
        found[rate] = records.read_json(run_args.json)
    results = {**collect(found, arms, args.budget, args.seeds[0]), **common}
    before = zoo_rows.read(results_file, results)
    rows = {row['arm']: row for row in before['rows'] + results['rows']}
    results['rows'] = [rows[arm] for arm in ARMS if arm in rows]
    records.write_record(results_file, {**results, 'data': before['data']})
    print(rates_table(results))


def collect(found: Dict[str, Any], arms: Dict[str, str], budget: str,
            seed: int) -> Dict[str, Any]:
    """Put the scores of both rates side by side.

    Args:
        found (Dict[str, Any]): Results of the ladder by rate.
        arms (Dict[str, str]): Name of the method by arm.
        budget (str): ``'mini'`` or ``'full'``.
        seed (int): Of all trainings.

    Returns:
        Dict[str, Any]: ``rows`` with method, arm, mIoU by rate, and the rate
        of the config; what all have in common.
    """
    first = found[RATES[budget][0]]
    rows: List[Dict[str, Any]] = []
    for arm, method in arms.items():
        config = BUDGETS[budget].configs[ARMS[arm].steps[-1]]
        scores = {}
        for rate, results in found.items():
            by_seed = _scores(results['arms'].get(arm, {}))
            if seed in by_seed:
                scores[rate] = by_seed[seed]
        rows.append(
            dict(
                method=method,
                arm=arm,
                scores=scores,
                chosen=read_config(config, {}).optim_wrapper.optimizer.lr))
    return dict(
        rows=rows,
        budget=first['budget'],
        data=first['data'],
        machine=first['machine'])


def _scores(arm: Dict[str, Any]) -> Dict[int, float]:
    """What an arm of the ladder scored at points, by seed."""
    return dict(zip(arm.get('seeds', ()), arm.get(MIOU[MEASURE], ())))


def rates_table(results: Dict[str, Any]) -> str:
    """Return the scores of both rates in Markdown."""
    rows = [[
        row['method'], f'`{row["arm"]}`',
        *(f'{100 * row["scores"][rate]:.1f}' if rate in row['scores'] else '–'
          for rate in results['rates']), f'{row["chosen"]:g}'
    ] for row in results['rows']]
    header = [
        'method', 'arm', *(f'mIoU, rate {float(rate):g}'
                           for rate in results['rates']), 'rate in the config'
    ]
    return table(header, rows) + machine_line(results['machine'])
