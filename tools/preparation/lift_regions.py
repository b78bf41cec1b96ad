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

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.lifting.frame_regions_step import \
    FrameRegionsStep
from sam3d_plugin.preparation.lifting.lifting import DEPTH_TOLERANCE
from sam3d_plugin.preparation.lifting.region_merging import (COUNTED,
                                                             MergeOptions)
from sam3d_plugin.preparation.lifting.region_paths import (
    name_all_region_files, name_region_files)
from sam3d_plugin.preparation.lifting.scan_regions_step import ScanRegionsStep
from sam3d_plugin.preparation.running.cli import add_run_arguments, run_options
from sam3d_plugin.preparation.running.frame_steps import FrameStep
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import join


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--data', required=True, metavar='DIR', help='data set')
    parser.add_argument(
        '--regions',
        metavar='DIR',
        help='folder of the id maps (default: region_maps in the data set)')
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='folder to write (default: regions, or with --frames '
        'frame_regions, in the data set)')
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
    _add_lifting_arguments(parser)
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    args.enters_all = args.infos is None and not (args.out or args.frames)
    if args.out is None:
        folder = 'frame_regions' if args.frames else 'regions'
        args.out = join(args.data, folder)
    return args


def _add_lifting_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('lifting to whole scans')
    default = MergeOptions()
    group.add_argument(
        '--depth-tolerance',
        type=float,
        default=DEPTH_TOLERANCE,
        metavar='METRES',
        help='a pixel sees a point if its depth differs by less '
        '(default: %(default)s)')
    group.add_argument(
        '--overlap',
        type=float,
        default=default.overlap,
        help='least share of the smaller region that two regions of one '
        'thing have in common (default: %(default)s)')
    group.add_argument(
        '--counted',
        choices=COUNTED,
        default=default.counted,
        help='what the share is of: the points in regions of both views, or '
        'the whole smaller region, as SAM3D (default: %(default)s)')
    group.add_argument(
        '--join-all',
        action='store_true',
        help='merge also regions that a frame shows as two, as SAM3D')
    group.add_argument(
        '--min-points',
        type=int,
        default=default.min_points,
        help='smaller merged regions are dissolved (default: %(default)s)')
    group.add_argument(
        '--absorb-radius',
        type=float,
        default=default.absorb_radius,
        metavar='METRES',
        help='points of dissolved regions join the nearest region within '
        'it; 0 leaves them in no region (default: %(default)s)')


def build_step(args: argparse.Namespace) -> FrameStep:
    """Build the step that the command line asks for.

    Args:
        args (argparse.Namespace): Parsed command line.

    Returns:
        FrameStep: Of whole scans or of frames.

    Raises:
        StoreError: When an option is out of its range.
    """
    if not args.depth_tolerance > 0:
        raise StoreError('--depth-tolerance must be above 0')
    if args.frames:
        return FrameRegionsStep(args.data, args.regions, args.backend_args)
    try:
        options = MergeOptions(args.overlap, args.counted, not args.join_all,
                               args.min_points, args.absorb_radius)
    except ValueError as error:
        raise StoreError(str(error)) from error
    return ScanRegionsStep(args.data, args.regions, options,
                           args.depth_tolerance, args.backend_args)


def lift(args: argparse.Namespace) -> None:
    """Run the step and enter the region files in the infos."""
    run_step(build_step(args), args.out, run_options(args))
    if args.enters_all:
        found = name_all_region_files(args.data, args.out, args.backend_args)
    else:
        found = {
            path: name_region_files(path, args.out, args.backend_args)
            for path in args.infos or ()
        }
    for path, (count, scans) in found.items():
        print(f'  {path}: {count} of {scans} scans have region files')


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Lift the regions; the exit status."""
    args = parse_args(argv)
    return run_tool(lift, args, PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
