"""Find the regions of every frame: uint16 id maps at color resolution.

    python tools/preparation/generate_regions.py --data data/NAME
    python tools/preparation/generate_regions.py --data data/NAME \\
        --generator sam -O checkpoint=sam_vit_h_4b8939.pth model_type=vit_h
    python tools/preparation/generate_regions.py --data data/NAME \\
        --generator sam2 -O checkpoint=sam2.1-hiera-large

Reads data/NAME/posed_images, writes data/NAME/region_maps/<scan>/<frame>.png:
0 = in no region, ids 1..R. Generators:

    superpixel   graph segmentation of color, depth and normals; no weights
    sam          segment_anything, "segment everything"
    sam2, sam3   the same with SAM 2 or SAM 3 of transformers; the checkpoint
                 is the folder of the model
    precomputed  existing masks: label PNGs, RLE JSON, or a
                 grouping of the scan's vertices seen from the frames

Rerun the command to resume a stopped run; frames that cannot be
used are skipped, named in the summary and recorded in the manifest.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.run_arguments import add_option_argument
from sam3d_plugin.cli.step_tool import DataParser, add_run_arguments, step_main
from sam3d_plugin.preparation.regions.generators import (GENERATORS,
                                                         build_generator)
from sam3d_plugin.preparation.regions.region_maps_step import RegionMapStep
from sam3d_plugin.preparation.running.named_parts import describe_parts
from sam3d_plugin.store.files import join

_PACKAGE = 'sam3d_plugin.preparation.regions.generators'


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = DataParser(
        __doc__,
        'region_maps',
        describe_options=lambda: describe_parts(GENERATORS, _PACKAGE))
    parser.add_argument(
        '--generator',
        choices=list(GENERATORS),
        default='superpixel',
        help='region generator (default: superpixel)')
    add_option_argument(parser, 'generator')
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> RegionMapStep:
    """The step of a command line; loads no model."""
    return RegionMapStep(
        join(args.data, 'posed_images'),
        build_generator(args.generator, args.options), args.backend_args)


main = step_main(parse_args, build_step)

if __name__ == '__main__':
    sys.exit(main())
