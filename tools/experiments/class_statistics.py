"""Count the classes of a data set and see what tells them apart.

    python tools/experiments/class_statistics.py data/synthrooms \\
        --json docs/results/class_statistics.json

Points, objects and rooms of every class, and how many objects of the
validation rooms a random forest recognizes by shape and place, or by color.
A second argument, what tools/test.py --json wrote of a segmentor that was
trained on all labels, puts its IoU beside them: the supervised upper bound.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.class_statistics import study
from sam3d_plugin.experiments.records import write_record
from sam3d_plugin.experiments.report_inputs import read_json


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('data', type=Path, help='prepared data set')
    parser.add_argument(
        'scores', nargs='?', type=Path, help='file of tools/test.py --json')
    add_options(parser, 'json')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Count, recognize, print and write."""
    results = study(args.data)
    if args.scores:
        results['segmentor'] = read_json(args.scores)
    for by, share in results['balanced_accuracy'].items():
        print(f'balanced accuracy by {by}: {share:.1%}')
    if args.json:
        write_record(Path(args.json), results)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
