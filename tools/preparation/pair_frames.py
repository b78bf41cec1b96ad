"""Find the frames of a scan that see the same place.

    python tools/preparation/pair_frames.py --data data/NAME

Reads data/NAME/posed_images and writes data/NAME/frame_pairs/<scan>
.safetensors: for every frame its partners and the share of the voxels of the
larger frame that both see. Pre-training on pairs of frames reads it.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.pairs.frame_pairs_step import FramePairsStep
from sam3d_plugin.preparation.running.cli import add_run_arguments, run_options
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.store.files import join


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Pair the frames; the exit status."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--data', required=True, metavar='DIR', help='data set')
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='folder to write (default: frame_pairs in the data set)')
    parser.add_argument(
        '--voxel-size',
        type=float,
        default=0.05,
        metavar='METRES',
        help='edge of the compared voxels (default: %(default)s)')
    parser.add_argument(
        '--min-overlap',
        type=float,
        default=0.1,
        metavar='SHARE',
        help='smallest overlap that is kept (default: %(default)s)')
    add_run_arguments(parser)
    args = parser.parse_args(argv)

    def pair(args: argparse.Namespace) -> None:
        step = FramePairsStep(
            args.data,
            args.voxel_size,
            args.min_overlap,
            backend_args=args.backend_args)
        out = args.out or join(args.data, 'frame_pairs')
        run_step(step, out, run_options(args))

    return run_tool(pair, args, PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
