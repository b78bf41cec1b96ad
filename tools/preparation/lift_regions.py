"""Give every point of a scan, or of each frame, its region.

    python tools/preparation/lift_regions.py --data data/NAME
    python tools/preparation/lift_regions.py --data data/NAME --frames

Whole scans: reads data/NAME/points, posed_images and region_maps, and writes
data/NAME/regions/<scan>.npz, one id per point of points/<scan>.bin, 0 = in no
region. A point takes the ids of the pixels that see it, which is when the
depth measured there differs by less than --depth-tolerance; regions of
several views that overlap become one. The infos (*_infos_*.pkl) then name the
region files, which is what training reads.

Frames: writes data/NAME/frame_regions/<scan>/<frame>.npz, the ids of the
pixels that have depth, in row-major order. Training does not need them.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.parameters import add_parameters, chosen
from sam3d_plugin.cli.step_tool import (DataParser, add_run_arguments,
                                        run_options, tool_main)
from sam3d_plugin.preparation.lifting.frame_regions_step import \
    FrameRegionsStep
from sam3d_plugin.preparation.lifting.lifting import DEPTH_TOLERANCE
from sam3d_plugin.preparation.lifting.region_merging import MergeOptions
from sam3d_plugin.preparation.lifting.region_paths import (
    name_all_region_files, name_region_files)
from sam3d_plugin.preparation.lifting.scan_regions_step import (
    ScanRegionsStep, describe_seen)
from sam3d_plugin.preparation.running.frame_steps import FrameStep
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import join


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = DataParser(__doc__, '')
    parser.add_argument(
        '--regions',
        metavar='DIR',
        help='folder of the id maps (default: region_maps in the data set)')
    parser.add_argument(
        '--frames',
        action='store_true',
        help='lift to the points of each frame instead of whole scans')
    parser.add_argument(
        '--infos',
        nargs='*',
        metavar='PKL',
        help='infos to enter the region files in (default: all '
        '*_infos_*.pkl in the data set if --out is left out; without names '
        'after it: none)')
    group = parser.add_argument_group('lifting to whole scans')
    group.add_argument(
        '--depth-tolerance',
        type=float,
        default=DEPTH_TOLERANCE,
        metavar='METERS',
        help='a pixel sees a point if its depth differs by less '
        '(default: %(default)s)')
    add_parameters(group, MergeOptions)
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    is_default = args.out == args.data
    args.enters_all = args.infos is None and is_default and not args.frames
    if is_default:
        folder = 'frame_regions' if args.frames else 'regions'
        args.out = join(args.data, folder)
    return args


def build_step(args: argparse.Namespace) -> FrameStep:
    """The step of a command line, of whole scans or of frames.

    Args:
        args (argparse.Namespace): Parsed command line.

    Returns:
        FrameStep: The step.

    Raises:
        StoreError: When an option is out of its range.
    """
    if not args.depth_tolerance > 0:
        raise StoreError('--depth-tolerance must be above 0')
    if args.frames:
        return FrameRegionsStep(args.data, args.regions, args.backend_args)
    return ScanRegionsStep(args.data, args.regions,
                           MergeOptions(**chosen(args, MergeOptions)),
                           args.depth_tolerance, args.backend_args)


def lift(args: argparse.Namespace) -> None:
    """Run the step and enter the region files in the infos."""
    run_step(build_step(args), args.out, run_options(args))
    if not args.frames:
        print(f'  {describe_seen(args.out, args.backend_args)}')
    if args.enters_all:
        found = name_all_region_files(args.data, args.out, args.backend_args)
    else:
        found = {
            path: name_region_files(path, args.out, args.backend_args)
            for path in args.infos or ()
        }
    for path, (count, scans) in found.items():
        print(f'  {path}: {count} of {scans} scans have region files')


main = tool_main(parse_args, lift)

if __name__ == '__main__':
    sys.exit(main())
