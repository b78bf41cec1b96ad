"""All that only a machine with a GPU can show, in a few minutes.

    python tools/benchmarks/gpu_check.py

compares every operation with the CPU's, mmcv's CUDA kernels included, takes
one training step of every model in float32 and in bfloat16, and measures both
stages of pre-training at 64 x 20,000 points, on data made in memory. Each
result is written at once, so an interrupted run keeps what it has. Exit status
1 means that something failed or was not reached in time.

``--device cpu --quick`` tries the tool out and names what needs a GPU.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

ROOT = Path(__file__).resolve().parents[2]
# Runs from a checkout that is not installed.
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.value_types import device_name
from tools.benchmarks import gpu_parts, measuring


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    measuring.add_arguments(parser)
    parser.set_defaults(device=None, json=ROOT / 'docs/results/gpu_check.json')
    parser.add_argument(
        '--minutes', type=float, default=4., help='after which no item begins')
    parser.add_argument(
        '--parts',
        nargs='+',
        choices=tuple(gpu_parts.PARTS),
        default=list(gpu_parts.PARTS))
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Check; 1 when something failed or was not reached in time."""
    args = parse_args(argv)
    try:
        args.device = args.device or device_name('cuda')
    except argparse.ArgumentTypeError as error:
        print(
            f'error: {error}; try the tool out with --device cpu --quick',
            file=sys.stderr)
        return 2
    record = gpu_parts.check(args)
    for name, text in record['failed'].items():
        print(f'FAILED {name}: {text.splitlines()[-1]}', file=sys.stderr)
    unfinished = [
        item for part in record['parts'].values()
        for item in part['unfinished']
    ]
    if unfinished:
        print(
            f'not reached in time: {", ".join(unfinished)}; raise --minutes',
            file=sys.stderr)
    print(f'results: {args.json}')
    return 1 if record['failed'] or unfinished else 0


if __name__ == '__main__':
    sys.exit(main())
