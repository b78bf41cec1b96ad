"""Every method of the repository on the same data, backbone and budget.

Pre-training and probe are the ladder's, fine-tunings those of few labels; here
they become one table, the analogue of the paper's Tables 1 and 2.
"""
import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Sequence

from ..store.atomic import atomic_write
from ..store.object_library import FILE as OBJECTS
from . import (arm_tables, comparison, few_labels, ladder, rates, records,
               steps, zoo_rows)
from .arms import (ARMS, BUDGETS, data_checksums, needs_objects, plan,
                   reads_pairs)
from .ladder_results import MEASURE, MIOU
from .methods import OURS, read_methods
from .tables import METRICS, machine_line, number, table
from .zoo_picture import draw

SCRATCH = 'scratch'
# Arms of a method: those of ours, and the tokens of the others.
OUR_ARMS = ('stage1_sam_balanced', 'ours_sam', 'paper_sam')
SHARE = 10  # Of the labels, in percent
PROBE = 'probe'
PAIRS = 'tools/preparation/pair_frames.py'
MAKE_OBJECTS = 'tools/preparation/make_objects.py'
# What a method is measured by, and what tables call it.
MEASURES = {
    PROBE: 'probe at points, mIoU',
    'detection': f'{METRICS["mAP_0.25"]}, {SHARE} % of the labels',
    'segmentation': f'{METRICS["miou"]}, {SHARE} % of the labels'
}
# Detectors whose scores without pre-training are reported: config, and kind of
# arm in the file of reported scores.
_SCRATCH_REPORTED = {
    '3DETR': ('three_detr_scannet', 'fresh'),
    'GroupFree3D': ('groupfree3d_scannet', 'fresh'),
    'VoteNet (PointNet++)': ('votenet_scannet_pointnet2', 'stock')
}
_OURS = Path(OURS).parent.name


def arms_of(methods: Sequence[str]) -> Dict[str, str]:
    """Arms of the ladder that stand for methods.

    Args:
        methods (Sequence[str]): Folders of ``projects``, and of our configs.

    Returns:
        Dict[str, str]: Label of the method by arm, scratch with the same
        tokens first.
    """
    known = read_methods()
    found = {}
    for key in methods:
        tokens = known[key].tokens
        arms = OUR_ARMS if key == _OURS else [f'{key}_{t}' for t in tokens]
        found.update({arm: known[key].label for arm in arms})
    baselines = dict.fromkeys(map(few_labels.baseline_of, found), SCRATCH)
    return {**baselines, **found}


def collect(args: argparse.Namespace, probes: Dict[str, Any],
            data: Dict[str, Any]) -> Dict[str, Any]:
    """Read what is there of every arm.

    Args:
        args (argparse.Namespace): Of the fine-tunings, see
            :mod:`.few_labels`.
        probes (Dict[str, Any]): Content of the ladder's result file.
        data (Dict[str, Any]): Of all rows.

    Returns:
        Dict[str, Any]: ``rows``, each with its scores in percent by measure
        and seed and its ``differences`` to scratch; data, budget, machine.
    """
    rows: List[Dict[str, Any]] = []
    for name, method in arms_of(list(read_methods())).items():
        probe = probes['arms'].get(name, {})
        scores = {
            PROBE: {
                seed: 100 * score
                for seed, score in zip(
                    probe.get('seeds', ()), probe.get(MIOU[MEASURE], ()))
            }
        }
        for kind in few_labels.METRICS:
            folder = few_labels.records_folder(args, f'{kind}_{SHARE}', name)
            runs = records.read_records(folder) if folder.is_dir() else []
            scores[kind] = arm_tables.scores_of(
                runs, 'last', few_labels.METRICS[kind][0]) if runs else {}
        seconds = probe.get('seconds', [])
        rows.append(
            dict(
                arm=name,
                method=method,
                tokens=ARMS[name].tokens,
                scores=scores,
                minutes=sum(seconds) / len(seconds) / 60 if seconds else None))
    compare_with_scratch(rows)
    return dict(
        rows=rows,
        budget=probes['budget'],
        data=data,
        machine=probes['machine'])


def compare_with_scratch(rows: List[Dict[str, Any]]) -> None:
    """Add ``differences`` to the rows, judged as cells of one table."""
    by_arm = {row['arm']: row for row in rows}
    places, found = [], []
    for row in rows:
        row['differences'] = {}
        if row['method'] == SCRATCH:
            continue
        scratch = by_arm[few_labels.baseline_of(row['arm'])]
        for measure in MEASURES:
            ours, theirs = row['scores'][measure], scratch['scores'][measure]
            if ours and theirs:
                places.append((row, measure))
                found.append(comparison.compare(ours, theirs))
    for (row, measure), difference in zip(places, comparison.judge(found)):
        row['differences'][measure] = asdict(difference)


def reported() -> Dict[str, Dict[str, str]]:
    """What papers report on ScanNet, AP25 / AP50 by detector, by method."""
    configs = json.loads(arm_tables.REPORTED.read_text())['configs']
    scratch = {}
    for detector, (config, kind) in _SCRATCH_REPORTED.items():
        scores = configs[config][kind]
        scratch[detector] = f'{scores["mAP_0.25"]} / {scores["mAP_0.50"]}'
    return {
        SCRATCH: scratch,
        **{
            method.label: method.reported
            for method in read_methods().values()
        }
    }


def zoo_table(results: Dict[str, Any]) -> str:
    """Return the table of all methods in Markdown."""
    papers, names = reported(), arms_of(list(read_methods()))
    header = [
        'method', 'arm', 'seeds', 'min', *MEASURES.values(), 'as reported'
    ]
    lines = []
    for row in results['rows']:
        method = names[row['arm']]
        line = [method, f'`{row["arm"]}`', _seeds(row)]
        line.append(number(row['minutes'], '.1f'))
        line += [_cell(row, measure) for measure in MEASURES]
        line.append('; '.join(f'{detector} ({scores})'
                              for detector, scores in papers[method].items())
                    or '–')
        lines.append(line)
    note = ('\nSeeds: trainings of probe, detector and segmentor, one number '
            'where all three are equal. Min: minutes of pre-training and '
            'probe of one seed. In brackets the difference from scratch with '
            "the same tokens, its 95 % interval, and p after Holm's "
            'correction over the table. As reported: by the authors on '
            'ScanNet, AP25 / AP50, not measured here.\n')
    return table(header, lines) + note + machine_line(results['machine'])


def _seeds(row: Dict[str, Any]) -> str:
    """Number of seeds by measure, such as '5 / 3 / 3'; '3' if all agree."""
    counts = [str(len(row['scores'][measure])) for measure in MEASURES]
    return counts[0] if len(set(counts)) == 1 else ' / '.join(counts)


def _cell(row: Dict[str, Any], measure: str) -> str:
    return comparison.cell_text(
        list(row['scores'][measure].values()), row['differences'].get(measure))


def make_inputs(args: argparse.Namespace, arms: Sequence[str]) -> None:
    """Make frame pairs and objects of the data set, if an arm reads them."""
    trainings = [
        step for arm in arms
        for step in plan(ARMS[arm], BUDGETS[args.budget], 0, args.data_root)
    ]
    if any(map(reads_pairs, trainings)):
        steps.run_steps([pairs_step(args.data_root)])
    if any(map(needs_objects, trainings)):
        steps.run_steps([objects_step(args.data_root)])


def pairs_step(data_root: str) -> steps.Command:
    """The command that finds the frame pairs of a data set."""
    # The manifest is written when all scans are done, unlike other files.
    return steps.Command(['python', PAIRS, '--data', data_root],
                         f'{data_root}/frame_pairs/manifest.json')


def objects_step(data_root: str) -> steps.Command:
    """The command that makes the objects that are put into frames."""
    return steps.Command(['python', MAKE_OBJECTS, '--data', data_root],
                         f'{data_root}/{OBJECTS}')


def run(args: argparse.Namespace) -> None:
    """Run what is missing, and write table and picture.

    Raises UserError when the result file has another budget or other data.
    """
    arms, work = arms_of(args.methods), args.work_dir
    make_inputs(args, list(arms))
    if args.rates:
        rates.run(args, {a: m for a, m in arms.items() if ARMS[a].steps})
        return
    results_file = Path(args.json)
    parts = results_file.with_suffix('')
    probing = argparse.Namespace(
        **{
            **vars(args), 'arms': list(arms),
            'work_dir': work / 'ladder',
            'json': str(parts / 'ladder.json'),
            'cfg_options': steps.option_list(args.cfg_options)[1:],
            'length': None,
            'probe_points': None,
            'held_out': False
        })
    # Refuses other data before hours of training, not after them.
    zoo_rows.read(results_file,
                  ladder.collect(probing, data_checksums(args.data_root)))
    ladder.run(probing)
    tuning = argparse.Namespace(
        **{
            **vars(args), 'arms': list(arms),
            'ladder': work / 'ladder',
            'json': str(parts / 'few_labels.json'),
            'tasks': [f'{kind}_{SHARE}' for kind in few_labels.METRICS]
        })
    few_labels.run(tuning)
    probes = records.read_json(parts / 'ladder.json')
    results = collect(tuning, probes,
                      zoo_rows.read(results_file, probes)['data'])
    records.write_record(results_file, results)
    with atomic_write(results_file.with_suffix('.png'), 'wb') as file:
        file.write(draw(results, MEASURES))
    print(zoo_table(results))
