r"""Put several probes side by side: one JSON and one table of them.

    python tools/experiments/collect_probes.py 'fresh=a.json' \
        'stage 1=b.json' --json both.json

The files are what tools/experiments/linear_probe.py writes with --json.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.experiments.tables import table
from sam3d_plugin.store import atomic_write

READ_OUTS = ('own', 'three_nn')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('probes', nargs='+', metavar='NAME=FILE')
    parser.add_argument('--json', required=True, metavar='FILE')
    return parser.parse_args(argv)


def name_and_file(text: str) -> Tuple[str, str]:
    """Split NAME=FILE at its last equals sign."""
    name, separator, path = text.rpartition('=')
    if not separator:
        raise SystemExit(f'error: {text} is not of the form NAME=FILE')
    return name, path


def summary(path: str) -> Dict[str, Any]:
    """What one probe found, and of what.

    Returns ``miou`` and ``macc`` by read-out, frames, tokens per frame,
    settings of the probe, method and tokenizer of the encoder.
    """
    probe = json.loads(Path(path).read_text())
    encoder = probe['encoder']
    return dict(
        **{
            name: {
                key: probe[name][key]
                for key in ('miou', 'macc')
            }
            for name in READ_OUTS
        },
        frames=probe['frames'],
        tokens_per_frame=probe['tokens_per_frame'],
        settings=probe['settings'],
        encoder={
            key: encoder.get(key)
            for key in ('method', 'tokenizer', 'frames_seen', 'config_hash')
        })


def probes_table(results: dict) -> str:
    """Markdown table of a collected file."""
    rows = [[
        name, f'{entry["tokens_per_frame"]["val"]:.0f}',
        *(f'{100 * entry[read]["miou"]:.1f}' for read in READ_OUTS)
    ] for name, entry in results['probes'].items()]
    return table(
        ['probed', 'tokens a frame', 'mIoU, own token', 'three nearest'], rows)


def main(args: argparse.Namespace) -> int:
    """Collect, show and write."""
    probes: Dict[str, Any] = {}
    for name, path in map(name_and_file, args.probes):
        if name in probes:
            raise SystemExit(f'error: two probes are called {name}')
        probes[name] = summary(path)
    table = Table('probed', *(f'mIoU {name}' for name in READ_OUTS))
    for name, entry in probes.items():
        table.add_row(name, *(f'{entry[r]["miou"]:.4f}' for r in READ_OUTS))
    Console().print(table)
    with atomic_write(args.json, 'w') as file:
        json.dump(dict(probes=probes), file, indent=1)
    return 0


if __name__ == '__main__':
    sys.exit(main(parse_args()))
