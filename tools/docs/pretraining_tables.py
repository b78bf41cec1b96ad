"""README tables from the result of benchmark_pretraining.py."""
from typing import Any, Dict

from sam3d_plugin.experiments.tables import machine_line, table

_PARTS = ('data', 'tokenize', 'targets', 'embed', 'encode', 'decode', 'loss',
          'other', 'backward', 'optimizer')


def pretraining_table(results: Dict[str, Any]) -> str:
    """Return the split of a step, and what was asked beside the figures."""
    rows = []
    for row in results['rows']:
        name = (f'{row["stage"]}, {row["tokenizer"].split(",")[0]}, '
                f'{row["dtype"]}, {row["batch_size"]}×{row["points"]:,}')
        parts = [f'{row["parts_ms"][part]:.0f}' for part in _PARTS]
        rows.append([
            name, f'{row["samples_per_s"]:.3g}', f'{row["step_ms"]:.0f}',
            *parts, f'{row["peak_memory_gb"]:.1f}',
            f'{row["matmul_share"] * 100:.0f} %'
        ])
    header = [
        'a step, ms', 'frames/s', 'step', *_PARTS, 'GB', 'of the matmul rate'
    ]
    rates = ', '.join(f'{dtype} {rate:.3g} TFLOP/s'
                      for dtype, rate in results['matmul_tflops'].items())
    return (table(header, rows) + f'\nOne large matrix product: {rates}.\n\n' +
            targets_table(results) + machine_line(results['machine']))


def targets_table(results: Dict[str, Any]) -> str:
    """Return the figures that have a limit."""
    rows = [[
        target['name'], f'{target["measured"]:.2f}', f'{target["limit"]:g}',
        'yes' if target['met'] else 'no'
    ] for target in results['targets']]
    return table(['', 'measured', 'at most', 'met'], rows)


def loader_table(results: Dict[str, Any]) -> str:
    """Return what the loader delivers."""
    rows = [[
        f'{workers} workers' if workers != '0' else 'the training process',
        f'{entry["frames_per_s"]:.0f}', f'{entry["main_ms"]:.2f}'
    ] for workers, entry in results['workers'].items()]
    header = [
        f'loader, {results["points"]:,} points, batches of '
        f'{results["batch_size"]}', 'frames/s',
        'ms of the training process per frame'
    ]
    return table(header, rows) + machine_line(results['machine'])


def busy_table(results: Dict[str, Any]) -> str:
    """Return seconds of a step beside processes that spin."""
    rows = []
    for row in results['rows']:
        cells = [
            f'{entry["median_s"]:.2f} ({entry["least_s"]:.2f} to '
            f'{entry["largest_s"]:.2f})'
            for entry in (row['default'], row['PASSIVE'])
        ]
        ratio = row['default']['median_s'] / row['PASSIVE']['median_s']
        rows.append([str(row['spinning']), *cells, f'{ratio:.1f}'])
    header = [
        f'processes beside `{results["config"]}`', 's per step, default',
        'OMP_WAIT_POLICY=PASSIVE', 'ratio'
    ]
    return table(header, rows) + machine_line(results['machine'])


def real_table(results: Dict[str, Any]) -> str:
    """Return losses and spreads of both stages on real frames."""
    rows = []
    for recording, arms in results['recordings'].items():
        for tokens, stages in arms.items():
            for stage, entry in stages.items():
                losses = ', '.join(
                    f'{term[5:]} {ends["first"]:.3g} → {ends["last"]:.3g}'
                    for term, ends in entry['losses'].items())
                spreads = [
                    f'{entry[name]:.3f}'
                    for name in ('features', 'predictions', 'targets')
                ]
                rows.append([
                    f'{recording}, {tokens} tokens, {stage[:-1]} {stage[-1]}',
                    losses, *spreads, f'{entry["learnt"]:.2f}'
                ])
    budget = results['budget']
    header = [
        f'{budget["steps"]} steps of {budget["frames"]} frames',
        'loss, first → last ten steps', 'spread of features', 'of predictions',
        'of targets', 'learnt'
    ]
    return table(header, rows) + machine_line(results['machine'])
