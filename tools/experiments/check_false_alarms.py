"""Count what the checks of recordings and scans say about good and bad ones.

    python tools/experiments/check_false_alarms.py --synthrooms data/synth \\
        --recording 'DIR --color-intrinsics 527,527,323,238 --up=z' \\
        --scans DIR --json docs/results/check_false_alarms.json

Every recording is one command line of import_rgbd_folder.py without --out and
--scan. SynthRooms scenes are taken as a whole, and under random cropping of
images (40 to 100% of each side), of frames (2 to all), and of points. Every
tenth scene is spoiled in each way that the checks know, to count what they
notice.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.records import write_record
from sam3d_plugin.preparation.checking.false_alarms import count


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--synthrooms', type=Path)
    parser.add_argument('--recording', action='append', default=[])
    parser.add_argument('--scans', type=Path, action='append', default=[])
    parser.add_argument('--seed', type=int, default=0, help='of the crops')
    add_options(parser, 'json')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Count, print and write."""
    sys.path.insert(0, str(Path(__file__).parents[1] / 'preparation'))
    import import_rgbd_folder as tool
    counts = count(args.recording, args.scans, args.synthrooms, args.seed,
                   lambda words: tool.build_step(tool.parse_args(words)))
    if args.json:
        write_record(Path(args.json), counts)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
