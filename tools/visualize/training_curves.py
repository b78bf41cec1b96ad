"""Draw the loss of trainings, beside what was measured before.

    python tools/visualize/training_curves.py work_dirs/mine --out mine.png \\
        --reference docs/results/curves/votenet_scannet_mini.json

    python tools/visualize/training_curves.py work_dirs/seed_* \\
        --arm fresh --keep docs/results/curves/NAME.json

A work directory is one of ``tools/train.py``; trainings of one configuration
share a panel. ``--keep`` writes them as a reference: several directories are
the seeds of one arm.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.training_curves import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'work_dirs', nargs='*', metavar='WORK_DIR', help='of tools/train.py')
    parser.add_argument(
        '--arm',
        default='this training',
        help='what the trainings are called (default: %(default)s)')
    parser.add_argument(
        '--reference',
        nargs='+',
        default=[],
        metavar='FILE',
        help='curves of docs/results/curves')
    parser.add_argument('--out', type=Path, help='PNG file')
    parser.add_argument('--keep', type=Path, help='JSON file')
    args = parser.parse_args(argv)
    if not args.work_dirs + args.reference:
        parser.error('name a WORK_DIR or a --reference')
    if not args.out and not args.keep:
        parser.error('name a file: --out draws, --keep writes a reference')
    if args.keep and not args.work_dirs:
        parser.error('--keep needs the WORK_DIR of a training')
    return args


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
