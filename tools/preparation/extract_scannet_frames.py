"""Extract RGB-D frames from ScanNet's .sens recordings.

    python tools/preparation/extract_scannet_frames.py --source DIR

DIR is the release with scans/<scan>/<scan>.sens (and scans_test/), or a
folder of scan folders. OUT gets <scan>/00025.jpg (color, the very bytes of
the recording), .png (depth, uint16 millimeters), .txt (pose, depth camera to
world) and the cameras: intrinsic.txt of color, intrinsic_depth.txt of depth,
depth_to_color.txt from the depth camera's frame to the color camera's. A
frame's name is its number in the recording, whatever the stride.

Frames without a finite, rigid pose or without depth are skipped, counted and
listed in manifest.json, and so are those that a truncated file lacks.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import List, Optional, Sequence

from sam3d_plugin.cli.run_arguments import add_check_argument
from sam3d_plugin.cli.step_tool import (add_run_arguments, plain_console,
                                        run_options, source_parser, tool_main)
from sam3d_plugin.preparation.checking.scan_checks import (read_checks,
                                                           summarize_checks)
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.preparation.sources.scannet.frames import (DEFAULT_STRIDE,
                                                             SensFrames,
                                                             count_reasons)
from sam3d_plugin.preparation.sources.scannet.layout import (
    read_list, source_backend_args)
from sam3d_plugin.preparation.sources.scans.source_files import check_unclaimed
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = source_parser(__doc__, 'data/scannet/posed_images')
    parser.add_argument(
        '--stride',
        type=int,
        default=DEFAULT_STRIDE,
        metavar='N',
        help=f'take every N-th frame (default: {DEFAULT_STRIDE})')
    parser.add_argument(
        '--resize-color',
        action='store_true',
        help='make color images as large as the depth images (640x480, a '
        'quarter of the pixels) and scale their intrinsics; they are '
        're-encoded')
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--scans', nargs='+', metavar='SCAN', help='only these scans')
    group.add_argument(
        '--list',
        metavar='FILE',
        help='only the scans of a list, e.g. scannetv2_train.txt')
    add_check_argument(parser)
    add_run_arguments(parser)
    return parser.parse_args(argv)


def build_step(args: argparse.Namespace) -> SensFrames:
    """The step of a command line."""
    only: Optional[List[str]] = args.scans
    backend_args = source_backend_args(args.source, args.backend_args)
    if args.list:
        only = read_list(args.list,
                         source_backend_args(args.list, args.backend_args))
    return SensFrames(args.source, args.stride, args.resize_color, only,
                      backend_args, not args.unchecked)


def extract(args: argparse.Namespace) -> None:
    """Extract the frames and say why frames were skipped."""
    console = plain_console()
    step, options = build_step(args), run_options(args)
    check_unclaimed(Store(args.out, options.backend_args), step.scans())
    report = run_step(step, args.out, options, console)
    for reason, count in count_reasons(report.skipped).items():
        console.print(f'  {count:,} skipped: {reason}')
    images = PosedImages(args.out, options.backend_args)
    checks = {scan: read_checks(images, scan) for scan in step.scans()}
    for line in summarize_checks(checks):
        console.print(f'  {line}')


main = tool_main(parse_args, extract)

if __name__ == '__main__':
    sys.exit(main())
