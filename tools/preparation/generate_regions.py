"""Find the regions of every frame: uint16 id maps at color resolution.

    python tools/preparation/generate_regions.py --data data/NAME
    python tools/preparation/generate_regions.py --data data/NAME \\
        --generator sam -O checkpoint=sam_vit_h_4b8939.pth model_type=vit_h

Reads data/NAME/posed_images, writes data/NAME/region_maps/<scan>/<frame>.png:
0 = in no region, ids 1..R. Generators:

    superpixel   graph segmentation of color, depth and normals; no weights
    sam          segment_anything, "segment everything"
    precomputed  existing masks: label PNGs, RLE JSON, or a
                 grouping of the scan's vertices seen from the frames

Rerun the command to resume a stopped run; frames that cannot be
used are skipped, named in the summary and recorded in the manifest.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.regions.generators import (GENERATORS,
                                                         build_generator)
from sam3d_plugin.preparation.regions.region_maps_step import RegionMapStep
from sam3d_plugin.preparation.running.cli import (add_option_argument,
                                                  add_run_arguments,
                                                  run_options)
from sam3d_plugin.preparation.running.named_parts import describe_parts
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.store.files import join

_PACKAGE = 'sam3d_plugin.preparation.regions.generators'


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__, lambda: describe_parts(GENERATORS, _PACKAGE))
    parser.add_argument(
        '--data',
        required=True,
        metavar='DIR',
        help='data set with a folder posed_images')
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='folder of the id maps (default: region_maps in the data set)')
    parser.add_argument(
        '--generator',
        choices=list(GENERATORS),
        default='superpixel',
        help='region generator (default: superpixel)')
    add_option_argument(parser, 'generator')
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    args.out = args.out or join(args.data, 'region_maps')
    return args


def build_step(args: argparse.Namespace) -> RegionMapStep:
    """Build the step that the command line asks for; loads no model."""
    return RegionMapStep(
        join(args.data, 'posed_images'),
        build_generator(args.generator, args.options), args.backend_args)


def generate(args: argparse.Namespace) -> None:
    """Find the regions."""
    run_step(build_step(args), args.out, run_options(args))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Find the regions; the exit status."""
    args = parse_args(argv)
    return run_tool(generate, args, PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
