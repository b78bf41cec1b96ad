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

from sam3d_plugin.cli.parameters import add_parameters, chosen
from sam3d_plugin.cli.step_tool import DataParser, add_run_arguments, step_main
from sam3d_plugin.preparation.pairs.frame_pairs_step import FramePairsStep

_CHOICES = ('voxel_size', 'min_overlap')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = DataParser(__doc__, 'frame_pairs')
    add_parameters(parser, FramePairsStep, _CHOICES)
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> FramePairsStep:
    """The step of a command line."""
    return FramePairsStep(
        args.data,
        **chosen(args, FramePairsStep, _CHOICES),
        backend_args=args.backend_args)


main = step_main(parse_args, build_step)

if __name__ == '__main__':
    sys.exit(main())
