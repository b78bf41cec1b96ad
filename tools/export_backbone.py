"""Write the encoder of a pre-training alone, for fine-tuning.

Fine-tuning takes it by --cfg-options
model.backbone.init_cfg="dict(type='Pretrained', checkpoint=FILE)".
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
from typing import List, Optional

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.cli.value_types import output_file
from sam3d_plugin.engine.export import export_backbone


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'source',
        help='checkpoint of a pre-training, or a config (.py) for an '
        'untrained encoder')
    parser.add_argument(
        '--out', type=output_file, required=True, help='file to write')
    parser.add_argument(
        '--seed', type=int, default=0, help='of an untrained encoder')
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show the traceback of an error, not only its message')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Export."""
    meta = export_backbone(args.source, args.out, args.seed)
    print(f'{args.out}: {json.dumps(meta)}')


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_tool(main, arguments))
