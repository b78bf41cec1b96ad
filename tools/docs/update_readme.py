"""Write the tables of README.md and docs from the results in docs/results.

Each table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``.
``--check`` changes nothing and fails when a table is out of date.
"""
import argparse
import json
import re
import sys
from pathlib import Path
from typing import Callable, Dict, List, Tuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.experiments import ladder_results, methods
from sam3d_plugin.experiments.tables import machine_line, table
from tools.docs import downstream_tables
from tools.docs import preparation_tables as tables
from tools.docs import pretraining_tables
from tools.experiments import collect_probes

MARKED = re.compile(r'(<!-- table: (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)


def milliseconds(seconds: float) -> str:
    """Return a time with three digits."""
    return '–' if seconds is None else f'{seconds * 1000:.3g}'


def times_ours(seconds: Dict[str, List[float]], library: str) -> str:
    """Return a library's time over ours, of shortest runs and medians."""
    if library is None:
        return '–'
    pairs = list(zip(seconds[library], seconds['ours']))
    best, median = (theirs / ours for theirs, ours in pairs)
    return f'{best:.2f} ({median:.2f})'


def ops_table(results: dict) -> str:
    """Return time per operation, in milliseconds."""
    rows = [[
        f'`{name.split()[0]}` {entry["size"]}',
        milliseconds(entry['ours_s']),
        milliseconds(entry['torch_s']),
        milliseconds(entry['library_s']), entry['library'] or '–',
        times_ours(entry['seconds'], entry['library'])
    ] for name, entry in results['ops'].items()]
    header = [
        'CPU, ms', 'ours', 'plain torch', 'best library', 'which',
        'over ours (of medians)'
    ]
    return table(header, rows) + machine_line(results['machine'])


def detectors_table(results: dict) -> str:
    """Return the time of a whole prediction and of tokenizing."""
    detectors, tokenize = results['detectors'], results['tokenize']
    rows = [
        [
            'VoteNet predict, 40,000 points',
            f'{detectors["votenet_40k_s"]:.2f} s'
        ],
        [
            'GroupFree3D L6 predict, 50,000 points',
            f'{detectors["groupfree3d_50k_s"]:.2f} s'
        ],
        ['peak memory', f'{detectors["peak_memory_gb"]:.2f} GB'],
        [
            'SAM tokens, 20,000 points to 256 tokens',
            f'{milliseconds(tokenize["sam_s"])} ms'
        ],
        [
            'FPS + kNN, 20,000 points to 256×128',
            f'{milliseconds(tokenize["knn_s"])} ms'
        ],
        [
            'embedding of these SAM tokens',
            f'{milliseconds(tokenize["sam_embed_s"])} ms'
        ],
        [
            'embedding of these kNN tokens',
            f'{milliseconds(tokenize["knn_embed_s"])} ms'
        ],
    ]
    return table(['CPU', 'measured'], rows)


def quickstart_line(record: dict) -> str:
    """Return how long the quickstart took."""
    seconds = sum(step['seconds'] for step in record['steps'])
    machine = record['machine']
    return (
        f'Measured: {seconds / 60:.1f} minutes on {machine["cores"]} cores '
        f'({machine["processor"]}, GPU: {machine["GPU"]}).\n')


# The result file, none for what the metafiles say.
TABLES: Dict[str, Tuple[str, Callable[[dict], str]]] = {
    'methods': ('', lambda _: methods.methods_table()),
    'ops': ('benchmark_ops.json', ops_table),
    'detectors': ('benchmark_ops.json', detectors_table),
    'few_labels': ('few_labels.json', downstream_tables.few_labels_table),
    'downstream': ('benchmark_downstream.json', downstream_tables.speed_table),
    'overfit': ('overfit.json', downstream_tables.overfit_table),
    'quickstart': ('quickstart.json', quickstart_line),
    'ladder': ('ladder.json', ladder_results.ladder_table),
    'choices': ('ladder_choices.json', collect_probes.probes_table),
    'preparation_speed': ('preparation.json', tables.speed_table),
    'preparation_storage': ('preparation.json', tables.storage_table),
    'synthrooms_speed': ('preparation.json', tables.synthrooms_line),
    'preparation_parts': ('benchmark_preparation.json', tables.parts_table),
    'lifting': ('benchmark_lifting.json', tables.lifting_table),
    'sam': ('benchmark_sam.json', tables.sam_table),
    'purity': ('region_purity.json', tables.purity_table),
    'quick_purity': ('region_purity.json', tables.quick_table),
    'merging': ('region_purity.json', tables.merging_table),
    'pretraining':
    ('benchmark_pretraining.json', pretraining_tables.pretraining_table),
    'pretrain_real': ('pretrain_real.json', pretraining_tables.real_table),
    'busy': ('benchmark_busy.json', pretraining_tables.busy_table),
    'loader': ('benchmark_loader.json', pretraining_tables.loader_table),
}
DOCUMENTS = ('README.md', 'docs/preparation.md', 'docs/benchmarks.md',
             'projects/README.md')


def fill(text: str, results: Path) -> str:
    """Return the text with every marked table written anew.

    Args:
        text (str): Markdown with marked tables.
        results (Path): Folder of the result files.

    Returns:
        str: The same with new tables.

    Raises:
        KeyError: When a table's name is unknown.
        FileNotFoundError: When its result file is missing.
    """

    def replace(match: 're.Match') -> str:
        name = match.group(2)
        if name not in TABLES:
            raise KeyError(f'no table is called {name}; there are '
                           f'{", ".join(TABLES)}')
        filename, table = TABLES[name]
        content = json.loads(
            (results / filename).read_text()) if filename else {}
        return match.group(1) + table(content) + match.group(3)

    return MARKED.sub(replace, text)


def main() -> int:
    """Fill or check the documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true')
    args = parser.parse_args()
    status = 0
    for name in DOCUMENTS:
        path = ROOT / name
        old = path.read_text()
        new = fill(old, ROOT / 'docs' / 'results')
        if args.check and new != old:
            print(f'{name} is out of date: run '
                  'python tools/docs/update_readme.py')
            status = 1
        elif new != old:
            path.write_text(new)
    return status


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print('error: interrupted', file=sys.stderr)
        sys.exit(130)
