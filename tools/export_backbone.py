"""Write the encoder of a pre-training alone, for fine-tuning.

    python tools/export_backbone.py CHECKPOINT --out FOLDER

FOLDER gets model.safetensors, config.json, a model card (README.md) and the
config of the training, ready to be published; --out FILE.pth writes one file
without a card. Fine-tuning takes either by --cfg-options
model.backbone.init_cfg="dict(type='Pretrained', checkpoint='FOLDER')", Python
takes the folder by PointTokenBackbone.from_pretrained('FOLDER'). To add
--scores to a card, export the folder to itself.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
from pathlib import Path
from typing import List, Optional

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.cli.value_types import output_file, output_folder
from sam3d_plugin.engine.export import FILE_ENDINGS, export_backbone
from sam3d_plugin.store.encoder_folder import check_output
from sam3d_plugin.store.errors import UserError


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'source',
        help='checkpoint of a pre-training, an export, or a config (.py) for '
        'an untrained encoder')
    parser.add_argument(
        '--out',
        type=output,
        required=True,
        help='folder to write, or a file .pth')
    parser.add_argument(
        '--license',
        default='',
        help='of the weights, as the hub names it, such as apache-2.0, for '
        'the model card (default: that of an export, else unknown)')
    parser.add_argument(
        '--scores',
        nargs='+',
        default=[],
        metavar='FILE',
        help='for the model card: what --json of tools/test.py or of '
        'tools/experiments/linear_probe.py wrote')
    parser.add_argument(
        '--seed', type=int, default=0, help='of an untrained encoder')
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show the traceback of an error, not only its message')
    return parser.parse_args(argv)


def output(text: str) -> str:
    """A file or folder that can be written."""
    if Path(text).suffix in FILE_ENDINGS:
        return output_file(text)
    try:
        check_output(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return output_folder(text)


def main(args: argparse.Namespace) -> None:
    """Export."""
    meta = export_backbone(args.source, args.out, args.seed, args.license,
                           args.scores)
    print(f'{args.out}: {json.dumps(meta)}')


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_tool(main, arguments))
