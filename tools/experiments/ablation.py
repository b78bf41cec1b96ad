"""Print or run the rows of the paper's Tables 3 and 4.

A row is a pre-training config of configs/sam3d/ablations, after its teacher
where it has one, the export of its encoder, and one fine-tuning each for
detection (3DETR) and segmentation, with the tokens of the pre-training.
``--run`` runs what has not been run: finished steps are skipped, a training
that was interrupted resumes, and a training that two rows share is done once.
All rows have a seed before the next one begins; --json is written after every
row.

``--data synthrooms`` is for two CPU cores: each row becomes its difference
from the paper's config, as options of the _synthrooms_mini one.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import SettingAction, ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.ablation import DOWNSTREAM, TABLES
from sam3d_plugin.experiments.ablation import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--tables',
        nargs='+',
        type=int,
        choices=list(TABLES),
        default=list(TABLES))
    parser.add_argument(
        '--data', choices=list(DOWNSTREAM), default='synthrooms')
    parser.add_argument('--row', help='only this one, by its config')
    parser.add_argument(
        '--run', action='store_true', help='run the commands, not only print')
    parser.add_argument(
        '--data-root',
        help='data set (default: data/scannet, data/synthrooms)')
    for stage in ('pretrain', 'finetune'):
        parser.add_argument(
            f'--{stage}-options',
            nargs='+',
            action=SettingAction,
            default={},
            help=f'further --cfg-options of every {stage} command')
    add_options(
        parser,
        'seeds',
        work_dir=Path('work_dirs/ablation'),
        json='docs/results/ablation.json')
    args = parser.parse_args(argv)
    rows = [row for number in args.tables for row in TABLES[number]]
    if args.row and args.row not in rows:
        parser.error(f'there is no row {args.row} in the tables; they have '
                     f'{", ".join(rows)}')
    return args


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
