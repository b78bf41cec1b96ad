"""The tables of pre-training benchmarks, from the files in docs/results."""
from typing import Any, Dict

from .tables import entries_table, machine_line

Results = Dict[str, Any]
_PARTS = ('data', 'tokenize', 'targets', 'embed', 'encode', 'decode', 'loss',
          'other', 'backward', 'optimizer')


def pretraining_table(results: Results) -> str:
    """Return the split of a step, and what was asked beside the figures."""
    entries = [
        dict(
            row,
            tokens=row['tokenizer'].split(',')[0],
            percent=100 * row['matmul_share']) for row in results['rows']
    ]
    columns = [('a step, ms',
                '{stage}, {tokens}, {dtype}, {batch_size}×{points:,}'),
               ('frames/s', '{samples_per_s:.3g}'), ('step', '{step_ms:.0f}')]
    columns += [(part, f'{{parts_ms[{part}]:.0f}}') for part in _PARTS]
    columns += [('GB', '{peak_memory_gb:.1f}'),
                ('of the matmul rate', '{percent:.0f} %')]
    rates = ', '.join(f'{dtype} {rate:.3g} TFLOP/s'
                      for dtype, rate in results['matmul_tflops'].items())
    targets = [
        dict(target, answer='yes' if target['met'] else 'no')
        for target in results['targets']
    ]
    return (entries_table(columns, entries) +
            f'\nOne large matrix product: {rates}.\n\n' +
            entries_table([('', '{name}'), ('measured', '{measured:.2f}'),
                           ('at most', '{limit:g}'),
                           ('met', '{answer}')], targets) +
            machine_line(results['machine']))


def method_steps_table(results: Results) -> str:
    """Return what a cloud costs every training, beside Point-MAE's."""
    rows = results['rows']
    base = next(r for r in rows if r['stage'] == 'PointMAE')['samples_per_s']
    entries = [
        dict(
            row,
            tokens=row['tokenizer'].split(',')[0],
            milliseconds=1000 / row['samples_per_s'],
            ratio=base / row['samples_per_s'],
            data=row['parts_ms']['data'] / row['step_ms']) for row in rows
    ]
    return entries_table([('training', '`{config}`'), ('tokens', '{tokens}'),
                          ('clouds/s', '{samples_per_s:.3g}'),
                          ('ms a cloud', '{milliseconds:.0f}'),
                          ("over Point-MAE's", '{ratio:.2f}'),
                          ('data, of the step', '{data:.0%}'),
                          ('peak memory, GB', '{peak_memory_gb:.1f}')],
                         entries) + machine_line(results['machine'])


def loader_table(results: Results) -> str:
    """Return what the loader delivers."""
    entries = [
        dict(
            entry,
            name='the training process'
            if workers == '0' else f'{workers} workers')
        for workers, entry in results['workers'].items()
    ]
    title = (f'loader, {results["points"]:,} points, batches of '
             f'{results["batch_size"]}')
    return entries_table([
        (title, '{name}'), ('frames/s', '{frames_per_s:.0f}'),
        ('ms of the training process per frame', '{main_ms:.2f}')
    ], entries) + machine_line(results['machine'])


def busy_table(results: Results) -> str:
    """Return seconds of a step beside processes that spin."""
    cell = '{%s[median_s]:.2f} ({%s[least_s]:.2f} to {%s[largest_s]:.2f})'
    columns = [(f'processes beside `{results["config"]}`', '{spinning}')]
    for name, variables in results['policies'].items():
        said = ' '.join(f'{k}={v}' for k, v in variables.items()) or 'default'
        columns.append((f's per step, {said}', cell.replace('%s', name)))
    return entries_table(columns, results['rows']) + machine_line(
        results['machine'])
