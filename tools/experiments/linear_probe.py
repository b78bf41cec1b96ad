"""Probe a frozen encoder: one linear layer from token features to classes.

Frames of the train scans train the layer, frames of the val scans test it.
Every point has the true class of its pixel (SynthRooms has them): 18 detection
classes, wall and floor. It reads the feature of its own token (``own``), or
interpolates those of the three nearest token centers (``three_nn``), each with
a layer of its own. Regions are those of region_maps. With ``--knn`` the most
similar labeled tokens of the train frames vote as well, without any training.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.evaluation.knn_probe import NeighborSettings
from sam3d_plugin.experiments.linear_probe import run, show
from sam3d_plugin.experiments.records import write_record


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'source',
        help='checkpoint of tools/train.py, file of tools/export_backbone.py,'
        ' or a config (.py) for an untrained encoder')
    parser.add_argument('--data-root', required=True)
    for split in ('train', 'val'):
        parser.add_argument(
            f'--{split}-scans',
            help=f'list of scans (default: splits/{split}.txt of the data '
            'root)')
    parser.add_argument('--num-points', type=int, default=4096)
    parser.add_argument(
        '--seed', type=int, default=0, help='of points and fresh encoders')
    parser.add_argument(
        '--knn',
        nargs='?',
        type=int,
        const=NeighborSettings.neighbors,
        metavar='K',
        help='probe by the K nearest labeled tokens too (K without a number: '
        '%(const)s)')
    parser.add_argument(
        '--temperature',
        type=_temperature,
        default=NeighborSettings.temperature,
        help="of their votes' weights, exp(cosine similarity / temperature); "
        'none: all votes are equal (default: %(default)s)')
    parser.add_argument(
        '--region-features',
        action='store_true',
        help="probe the 2D features that stage 1 distils, at the source's "
        'tokens, instead of its encoder')
    add_options(parser, 'device', 'cfg_options', 'json')
    return parser.parse_args(argv)


def _temperature(text: str) -> Optional[float]:
    return None if text == 'none' else float(text)


def main(args: argparse.Namespace) -> None:
    """Probe, show and write."""
    results = run(args)
    show(results)
    if args.json:
        write_record(Path(args.json), results)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
