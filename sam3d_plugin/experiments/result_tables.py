"""The tables of README.md and docs, from the files in docs/results.

Each is a function from the content of a result file to Markdown; see
``TABLES`` at the end.
"""
import re
from typing import Any, Callable, Dict, List, Tuple

from . import (ablation, arm_tables, ladder_results, leaderboard, methods,
               preparation_tables, rates, zoo)
from .comparison import Difference
from .step_tables import (busy_table, loader_table, method_steps_table,
                          pretraining_table)
from .tables import (METRICS, entries_table, fill, machine_line, number, table,
                     values_table)

Results = Dict[str, Any]
# Of few_labels.py, with the share of the labels.
_TASK = re.compile(r'(.*)_(\d+)')


def ops_table(results: Results) -> str:
    """Return time per operation, in milliseconds."""
    rows = []
    for name, entry in results['ops'].items():
        times = [entry[f'{who}_s'] for who in ('ours', 'torch', 'library')]
        library = entry['library']
        ratios = [
            theirs / ours
            for theirs, ours in zip(entry['seconds'].get(library, (
            )), entry['seconds']['ours'])
        ]
        rows.append([
            f'`{name.split()[0]}` {entry["size"]}',
            *(number(None if t is None else 1000 * t) for t in times), library
            or '–', '{:.2f} ({:.2f})'.format(*ratios) if ratios else '–'
        ])
    header = [
        'CPU, ms', 'ours', 'plain torch', 'best library', 'which',
        'over ours (of medians)'
    ]
    return table(header, rows) + machine_line(results['machine'])


def detectors_table(results: Results) -> str:
    """Return the time of a whole prediction and of tokenizing."""
    found = dict(
        results['detectors'], **{
            key[:-2]: 1000 * seconds
            for key, seconds in results['tokenize'].items()
        })
    return values_table([
        ('CPU', 'measured'),
        ('VoteNet predict, 40,000 points', '{votenet_40k_s:.2f} s'),
        ('GroupFree3D L6 predict, 50,000 points', '{groupfree3d_50k_s:.2f} s'),
        ('peak memory', '{peak_memory_gb:.2f} GB'),
        ('SAM tokens, 20,000 points to 256 tokens', '{sam:.3g} ms'),
        ('FPS + kNN, 20,000 points to 256×128', '{knn:.3g} ms'),
        ('embedding of these SAM tokens', '{sam_embed:.3g} ms'),
        ('embedding of these kNN tokens', '{knn_embed:.3g} ms'),
    ], found)


def quickstart_line(results: Results) -> str:
    """Return how long the quickstart took."""
    seconds = sum(step['seconds'] for step in results['steps'])
    return (f'Measured: {seconds / 60:.1f} minutes on ' +
            '{cores} cores ({processor}, GPU: {GPU}).\n'.format_map(
                results['machine']))


def overfit_table(results: Results) -> str:
    """Return what every overfitted model reaches, and its time."""
    entries = []
    for run in results['runs'].values():
        metrics = list(run['scores']['trained_on'])
        scores = {
            case: ' / '.join(f'{found[metric]:.3f}' for metric in metrics)
            for case, found in run['scores'].items()
        }
        entries.append(
            dict(
                run,
                **scores,
                metrics=' / '.join(METRICS[metric] for metric in metrics),
                minutes=run['training']['seconds'] / 60,
                of_one_core=run['training']['cpu_s'] / 60))
    return entries_table([
        ('config', '`{config}`'), ('score', '{metrics}'),
        ('trained on', '{trained_on}'), ('rescan, kNN tokens', '{rescan_knn}'),
        ('rescan, superpoint tokens', '{rescan_superpoints}'),
        ('steps', '{steps}'),
        ('minutes (of one core)', '{minutes:.0f} ({of_one_core:.0f})')
    ], entries) + fill('\nMachine: {device}, {cores} cores, torch {torch}.\n',
                       entries[0]['hardware'])


def few_labels_table(results: Results) -> str:
    """Return the arms of every task side by side."""
    rows: List[List[str]] = []
    results = {_TASK.sub(r'\1, \2 %', k): v for k, v in results.items()}
    arms = list(
        dict.fromkeys(cell['arm'] for comparison in results.values()
                      for cell in comparison['cells']))
    for task, comparison in results.items():
        cells = [c for c in comparison['cells'] if c['checkpoint'] == 'last']
        for metric in dict.fromkeys(cell['metric'] for cell in cells):
            mine = {c['arm']: c for c in cells if c['metric'] == metric}
            rows.append(
                [f'{task}, {METRICS[metric]}'] +
                [_arm_text(mine[arm]) if arm in mine else '–' for arm in arms])
    notes = [
        f'\n{task}: {note}\n' for task, comparison in results.items()
        for note in comparison['notes']
    ]
    return table(['share of the labels', *arms], rows) + ''.join(notes)


def compared_table(results: Results) -> str:
    """Return what tools/experiments/compare.py found of some arms."""
    notes = ''.join(f'\n{note}\n' for note in results['notes'])
    return arm_tables.table(results['cells'], 'last', results['metrics'],
                            results['baseline']) + notes


def _arm_text(cell: Results) -> str:
    text = f'{cell["mean"]:.1f} ± {cell["std"]:.1f}'
    if 'difference' in cell:
        text += f' ({Difference(**cell["difference"]).text()})'
    return text


def downstream_table(results: Results) -> str:
    """Return time and memory of every detector and segmentor."""
    entries = [
        dict(entry, name=name) if 'assignment_s' not in entry else dict(
            entry, name=name, share=entry['assignment_s'] / entry['train_s'])
        for name, entry in results['configs'].items()
    ]
    giou = results['giou']
    return entries_table(
        [('config', '`{name}`'), ('points', '{points:,}'),
         ('training step, s', '{train_s:.2f}'), ('MB', '{train_mb:,}'),
         ('prediction, s', '{predict_s:.2f}'), ('MB', '{predict_mb:,}'),
         ('assignment, of the step', '{share:.1%}')], entries) + (
             f'\nGeneralized IoU of 8×256×64 rotated boxes: '
             f'{giou["vectorised_s"] * 1000:.0f} ms, {giou["speedup"]:.0f} '
             'times as fast as pair by pair in Python.\n') + machine_line(
                 results['machine'])


def voxels_table(results: Results) -> str:
    """Return times of sparse convolutions and of training steps."""
    rows = []
    for layer in results['layers']:
        kernel = '3³' if layer['kernel'] == 3 else '2³, stride 2'
        times = layer['both_ms']
        rows.append([
            f'{kernel}, {100 * layer["voxel_size"]:g} cm, '
            f'{layer["channels"]} channels', f'{layer["voxels"]:,}',
            number(layer['neighbors_ms']['ours']),
            *(number(layer['forward_ms'].get(name))
              for name in ('ours', 'spconv', 'dense')),
            *(number(times.get(name)) for name in ('ours', 'spconv', 'dense')),
            *(f'{times[name] / times["ours"]:.2f}' if name in times else '–'
              for name in ('spconv', 'dense'))
        ])
    header = [
        'CPU, ms', 'voxels', '27 neighbors', 'forward', 'spconv', 'dense',
        'with backward', 'spconv', 'dense', 'spconv over ours',
        'dense over ours'
    ]
    steps = [
        dict(step, size=100 * step['voxel_size']) for step in results['steps']
    ]
    return table(header, rows) + '\n' + entries_table([
        ('a training step', '{network}'), ('voxels of', '{size:g} cm'),
        ('voxels', '{voxels:,}'), ('parameters', '{parameters:,}'),
        ('s', '{wall_s:.2f}'), ('s of the processor', '{cpu_s:.2f}')
    ], steps) + machine_line(results['machine'])


def pretrain_real_table(results: Results) -> str:
    """Return losses and spreads of both stages on real frames."""
    entries = [
        dict(
            entry,
            name=f'{recording}, {arm}, {stage}',
            changes=', '.join(
                f'{term[5:]} {ends["first"]:.3g} → {ends["last"]:.3g}'
                for term, ends in entry['losses'].items()))
        for recording, arms in results['recordings'].items()
        for arm, stages in arms.items() for stage, entry in stages.items()
    ]
    return entries_table([(fill('{steps} steps of {frames} frames',
                                results['budget']), '{name}'),
                          ('loss, first → last ten steps', '{changes}'),
                          ('spread of features', '{features:.3f}'),
                          ('of predictions', '{predictions:.3f}'),
                          ('of targets', '{targets:.3f}'),
                          ('learnt', '{learnt:.2f}')], entries) + machine_line(
                              results['machine'])


def geometry_table(results: Results) -> str:
    """Return how much of each kind of 2D features geometry explains."""
    return entries_table([('2D features', '{encoder}'),
                          ('regions', '{regions:,}'),
                          ('power in one common vector', '{common:.0%}'),
                          ('variance explained, linear', '{ridge:.0%}'),
                          ('by a small network', '{mlp:.0%}')],
                         results.values())


def classes_table(results: Results) -> str:
    """Return counts of every class, and what recognizes it."""
    counts, scores = results['counts'], results.get('segmentor', {})
    total = sum(entry['points'] for entry in counts['train'].values())
    entries = [
        dict(
            train,
            name=name,
            share=train['points'] / total,
            val=counts['val'][name]['objects'],
            iou=scores.get(name),
            **{
                by: found.get(name)
                for by, found in results['recognized'].items()
            }) for name, train in counts['train'].items()
    ]
    entries.sort(key=lambda entry: entry['points'], reverse=True)
    accuracy = results['balanced_accuracy']
    entries.append(
        dict(
            name='mean over classes',
            geometry=accuracy['geometry'],
            color=accuracy['color'],
            iou=scores.get('miou')))
    return entries_table([('class', '{name}'), ('train points', '{share:.1%}'),
                          ('train objects', '{objects:,}'),
                          ('train rooms', '{rooms}'), ('val objects', '{val}'),
                          ('recognized by shape and place', '{geometry:.0%}'),
                          ('by color', '{color:.0%}'),
                          ('IoU of the segmentor', '{iou:.1%}')],
                         entries) + f'\nBy chance: {accuracy["chance"]:.0%}.\n'


# What a difference of the ladder is about, by arm and baseline.
_CLAIMS = {
    ('stage1_sam_balanced', 'random_sam'): 'stage 1 over an untrained encoder',
    ('stage1_sam_balanced', 'stage1_knn_balanced'):
    'SAM tokens over kNN tokens',
    ('stage1_sam_balanced', 'stage1_sam_plain'):
    'balanced over unweighted groups',
    ('ours_sam', 'stage1_sam_balanced'):
    'stage 2, ours, over as many more frames of stage 1',
    ('paper_sam', 'stage1_sam_balanced'):
    'stage 2, as published, over the same'
}


def claims_table(results: Results) -> str:
    """Return which claims of the method the ladder confirms."""
    rows = []
    for entry in results['comparisons']:
        claim = _CLAIMS.get((entry['arm'], entry['baseline']))
        if claim and entry['read_out'] == ladder_results.MEASURE:
            seeds = min(
                len(results['arms'][entry[arm]]['seeds'])
                for arm in ('arm', 'baseline'))
            text = Difference(**entry['difference']).text(1, 100)
            rows.append([claim, str(seeds), text])
    return table(['claim', 'seeds', 'mIoU [95 % interval], p after Holm'],
                 rows)


def reported_table(results: Results) -> str:
    """Return what the paper reports of every config."""
    rows = []
    for config, arms in results['configs'].items():
        if 'pretrained' not in arms:
            continue
        metrics = [key for key in arms['fresh'] if key != 'source']
        cells = [
            ' / '.join(str(arms[arm][metric]) for metric in metrics)
            for arm in ('fresh', 'pretrained')
        ]
        names = ' / '.join(METRICS[metric] for metric in metrics)
        rows.append([f'`{config}`', names, *cells, 'not yet measured'])
    return table(
        ['config', 'score', 'paper, fresh', 'paper, pre-trained', 'here'],
        rows)


# By name: the result file or folder, none for what the metafiles say, and the
# table.
TABLES: Dict[str, Tuple[str, Callable[[Results], str]]] = {
    'board': ('board', leaderboard.board_table),
    'methods': ('', lambda _: methods.methods_table()),
    'methods_short': ('', lambda _: methods.short_table()),
    'methods_elsewhere': ('', lambda _: methods.elsewhere_table()),
    'reported': ('reported', reported_table),
    'claims': ('ladder', claims_table),
    'ops': ('benchmark_ops', ops_table),
    'detectors': ('benchmark_ops', detectors_table),
    'few_labels': ('few_labels', few_labels_table),
    'downstream': ('benchmark_downstream', downstream_table),
    'overfit': ('overfit', overfit_table),
    'quickstart': ('quickstart', quickstart_line),
    'ladder': ('ladder', ladder_results.ladder_table),
    'pretraining': ('benchmark_pretraining', pretraining_table),
    'method_steps': ('benchmark_methods', method_steps_table),
    'pretrain_real': ('pretrain_real', pretrain_real_table),
    'busy': ('benchmark_busy', busy_table),
    'classes': ('class_statistics', classes_table),
    'geometry': ('feature_geometry', geometry_table),
    'loader': ('benchmark_loader', loader_table),
    'zoo': ('zoo', zoo.zoo_table),
    'zoo_rates': ('zoo_rates', rates.rates_table),
    'ablation': ('ablation', ablation.render_table),
    'voxels': ('benchmark_voxels', voxels_table),
    'real_scans': ('real_scans', compared_table),
    **preparation_tables.TABLES,
}
