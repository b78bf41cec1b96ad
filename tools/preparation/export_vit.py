"""Write the weights of an image transformer for pre-training on points.

    python tools/preparation/export_vit.py vit_base_patch16_384 \\
        data/weights/vit_base_patch16_384.pth

Training reads the file alone and needs neither timm nor the network.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.step_tool import tool_main
from sam3d_plugin.cli.value_types import output_file
from sam3d_plugin.preparation.features.vision_transformer import \
    export_vision_transformer


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('model', help='name of the model in timm')
    parser.add_argument('out', type=output_file, help='file to write')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='its weights, a .pth or .safetensors file (default: timm '
        'downloads them)')
    return parser.parse_args(argv)


def export(args: argparse.Namespace) -> None:
    """Export."""
    meta = export_vision_transformer(args.model, args.checkpoint, args.out)
    print(f'{args.out}: {json.dumps(meta)}')


main = tool_main(parse_args, export)

if __name__ == '__main__':
    sys.exit(main())
