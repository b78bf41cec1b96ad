"""Pool a frozen image encoder's features inside the regions of every frame.

    python tools/preparation/extract_features.py --data data/NAME \\
        --encoder handcrafted
    python tools/preparation/extract_features.py --data data/NAME \\
        --encoder timm -O checkpoint=dinov2_vitb14_pretrain.pth

Reads data/NAME/posed_images and data/NAME/region_maps, writes
data/NAME/region_features/<scan>.safetensors: per region the mean and the
maximum over its pixels, fp16. Encoders:

    handcrafted  color, gradient and texture statistics; no weights
    standin      a small image model, trained on labeled images of other
                 made-up rooms; it stands in for DINOv2 on SynthRooms
    timm         an image model of timm (model=vit_base_patch14_dinov2); the
                 checkpoint is a local file, in timm's or the authors' naming;
                 layer, norm, long_side, batch_size, device and autocast are
                 further options
    transformers DINOv3 or SigLIP 2 of transformers; the checkpoint is the
                 folder of the model

Rerun the command to resume a stopped run; frames that cannot be
used are skipped, named in the summary and recorded in the manifest.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.run_arguments import add_option_argument
from sam3d_plugin.cli.step_tool import DataParser, add_run_arguments, step_main
from sam3d_plugin.preparation.features.encoders import ENCODERS, build_encoder
from sam3d_plugin.preparation.features.region_features_step import \
    RegionFeatureStep
from sam3d_plugin.preparation.running.named_parts import describe_parts
from sam3d_plugin.store.files import join

_PACKAGE = 'sam3d_plugin.preparation.features.encoders'


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = DataParser(
        __doc__,
        'region_features',
        describe_options=lambda: describe_parts(ENCODERS, _PACKAGE))
    parser.add_argument(
        '--regions',
        metavar='DIR',
        help='folder of the id maps (default: region_maps in the data set)')
    parser.add_argument('--encoder', choices=list(ENCODERS), required=True)
    add_option_argument(parser, 'encoder')
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    args.regions = args.regions or join(args.data, 'region_maps')
    return args


def build_step(args: argparse.Namespace) -> RegionFeatureStep:
    """The step of a command line; loads no model."""
    return RegionFeatureStep(
        join(args.data, 'posed_images'), args.regions,
        build_encoder(args.encoder, args.options), args.backend_args)


main = step_main(parse_args, build_step)

if __name__ == '__main__':
    sys.exit(main())
