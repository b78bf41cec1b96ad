"""Train the small image model that stands in for a 2D foundation model.

    python tools/preparation/make_synthrooms.py --scenes 300 --frames 6 \\
        --seed 1000 --out data/teacher_rooms
    python tools/preparation/train_image_teacher.py \\
        --data data/teacher_rooms --out standin.safetensors

By labels, the model learns the class of every pixel; by views, without any
label, to find the same surface point again in other frames. A tenth of the
rooms is held out and scored. A step takes half a second of one core. Use the
weights with

    python tools/preparation/extract_features.py --encoder standin \\
        -O checkpoint=standin.safetensors --data data/NAME
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.features import image_teacher


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--data', type=Path, required=True, metavar='DIR')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE')
    parser.add_argument(
        '--supervision',
        choices=image_teacher.SUPERVISIONS,
        default='labels',
        help='(default: %(default)s)')
    parser.add_argument(
        '--steps', type=int, default=2800, help='(default: %(default)s)')
    return parser.parse_args(argv)


def train(args: argparse.Namespace) -> None:
    """Train, score and write."""
    rooms, held_out = image_teacher.split(image_teacher.read_images(args.data))
    network, task = image_teacher.train(rooms, args.supervision, args.steps)
    image_teacher.write_weights(network, args.out)
    if args.supervision == 'labels':
        scores = image_teacher.class_scores(network, task, held_out)
        print(f'{len(held_out.frames)} images of held-out rooms: ' +
              ', '.join(f'{name} {value:.1f}'
                        for name, value in scores.items()))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Train; the exit status."""
    return run_tool(train, parse_args(argv), PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
