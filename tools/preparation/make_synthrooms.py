"""Make SynthRooms, furnished rooms in the prepared form of ScanNet.

    python tools/preparation/make_synthrooms.py --size mini --out data/synth

DIR gets posed_images, points, masks, infos and lists, as from ScanNet, and
frame_instances/<scan>/00000.png, the true instance id of every pixel. Files
are the same bytes for the same seed, whatever --workers and --shard are, on
processors of one kind; on others some pixels and points differ. With --shard,
the run that finishes last writes the infos.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.step_tool import (add_run_arguments, run_options,
                                        tool_main)
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.synthrooms import (PRESETS, SynthOptions, SynthRoomsStep,
                                     split_sizes, write_lists)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--out', required=True, help='folder of the set')
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument(
        '--size',
        choices=sorted(PRESETS),
        help='; '.join(f'{name}: {train} + {val} scenes (train + val), '
                       f'{frames} frames each'
                       for name, (train, val, frames) in PRESETS.items()))
    size.add_argument(
        '--scenes',
        type=int,
        metavar='N',
        help='scenes in all; a quarter validates, of 8 to 19 scenes four, '
        'of 2 to 7 one')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--frames',
        type=int,
        metavar='N',
        help='frames per scene (default: of the size, else 12)')
    parser.add_argument(
        '--image-size',
        type=int,
        nargs=2,
        metavar=('W', 'H'),
        default=(320, 240),
        help='pixels of color and depth (default: 320 240)')
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> SynthRoomsStep:
    """The step that the command line asks for."""
    train, val, frames = PRESETS.get(args.size or '', (0, 0, 12))
    if args.scenes is not None:
        train, val = split_sizes(args.scenes)
    if args.frames is not None:
        frames = args.frames
    width, height = args.image_size
    if min(train, frames, width, height) < 1 or args.seed < 0:
        raise StoreError('--scenes, --frames and --image-size start at 1, '
                         '--seed at 0')
    if train > 5000 or val > 5000:
        raise StoreError('names of scenes end at 5000 for each of train and '
                         'val; use fewer --scenes and another --seed')
    options = SynthOptions(num_frames=frames, size=(height, width))
    return SynthRoomsStep(args.seed, train, val, options)


def make(args: argparse.Namespace) -> None:
    """Make the set."""
    step = build_step(args)
    run_step(step, args.out, run_options(args))
    for note in write_lists(step, args.out, args.backend_args):
        print(f'  {note}')


main = tool_main(parse_args, make)

if __name__ == '__main__':
    sys.exit(main())
