"""Write one offline page that shows what a pre-training did.

    python tools/visualize/pretraining_report.py --out report.html \\
        --data data/NAME --runs "stage 1=work_dirs/a" "stage 2=work_dirs/b"

Regions on images, tokens on points, loss curves, principal components of the
token features of each model, and, where given, probe results, what a
fine-tuned detector and segmentor predict, and what every step cost. --models
names the encoders (checkpoints, files of export_backbone.py, or a config for
an encoder that has learnt nothing); without it, the newest checkpoint of every
run is taken. What is not given is left out of the page.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Dict, List, Optional

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.finetuned_rooms import SCORES
from sam3d_plugin.experiments.pretraining_report import run as main


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--out', required=True, help='HTML file to write')
    parser.add_argument(
        '--title', default='What the pre-training did', help='of the page')
    parser.add_argument('--data', metavar='DIR', help='prepared data set')
    for name, what in (('runs', 'work directories, for the loss curves'),
                       ('models', 'encoders, for pictures of their features'),
                       ('probes',
                        'files of tools/experiments/linear_probe.py')):
        parser.add_argument(
            f'--{name}', nargs='+', default=[], metavar='NAME=PATH', help=what)
    parser.add_argument(
        '--geometry',
        metavar='FILE',
        help='of tools/experiments/feature_geometry.py for this data')
    for name in ('detector', 'segmentor'):
        parser.add_argument(
            f'--{name}',
            nargs='+',
            default=[],
            metavar='PATH',
            help='work directories of fine-tunings; '
            f'{SCORES} in one is what tools/test.py --json measured. The file '
            'alone is that of the detector that comes with the package')
    parser.add_argument(
        '--rooms',
        type=int,
        default=2,
        help='rooms of each to show (default: %(default)s)')
    parser.add_argument(
        '--steps',
        metavar='FILE',
        help='what tools/quickstart.py wrote of its steps; with a sentence '
        '"unfinished" in it, the page shows that and reloads itself')
    parser.add_argument(
        '--infos',
        default='scannet_infos_val.pkl',
        help='whose frames are shown (default: %(default)s; '
        "'' is all scans)")
    parser.add_argument(
        '--frames',
        type=int,
        default=3,
        help='frames to show, evenly spaced (default: %(default)s)')
    parser.add_argument(
        '--points',
        type=int,
        default=4096,
        help='points of a frame that the models see (default: %(default)s)')
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show where an error came from, not only its sentence')
    args = parser.parse_args(argv)
    for name in ('runs', 'models', 'probes'):
        setattr(args, name, _split_pairs(parser, name, getattr(args, name)))
    return args


def _split_pairs(parser: argparse.ArgumentParser, name: str,
                 pairs: List[str]) -> Dict[str, str]:
    """Paths by their names, of an option that takes NAME=PATH."""
    for pair in pairs:
        if not all(pair.partition('=')[::2]):
            parser.error(f'--{name}: {pair} is not NAME=PATH')
    return dict(pair.split('=', 1) for pair in pairs)


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_tool(main, arguments))
