"""Show the prepared data of a scan: pictures, colored points and a page.

    python tools/preparation/inspect_scans.py --data data/NAME --scan SCAN

Writes into data/NAME/inspection, or --out:

    SCAN.png           frames beside their regions and depth
    SCAN_rgb.ply       the scan's points in color
    SCAN_regions.ply   the same by region, the id as a property
    SCAN.html          all of it on one page that works offline

(The file is not called inspect.py since Python would then import it in place
of its own module of that name.)
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin.cli.run_arguments import json_object
from sam3d_plugin.cli.step_tool import DataParser, tool_main
from sam3d_plugin.preparation.checking.inspection_files import (find_scans,
                                                                write_scan)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = DataParser(__doc__, 'inspection')
    parser.add_argument(
        '--scan',
        nargs='+',
        metavar='NAME',
        help='scans to show (default: the first one)')
    parser.add_argument(
        '--frames',
        type=int,
        default=12,
        help='frames to show, evenly spaced (default: %(default)s)')
    parser.add_argument(
        '--max-points',
        type=int,
        default=60000,
        help='points on the page (default: %(default)s)')
    parser.add_argument(
        '--groups',
        metavar='NAME',
        help='which set of region_groups (default: the first)')
    parser.add_argument('--backend-args', type=json_object, metavar='JSON')
    return parser.parse_args(argv)


def show(args: argparse.Namespace) -> None:
    """Write the pages of all scans."""
    for scan in find_scans(args.data, args.scan, args.backend_args):
        write_scan(args.data, scan, args.out, args.frames, args.max_points,
                   args.groups, args.backend_args)


main = tool_main(parse_args, show)

if __name__ == '__main__':
    sys.exit(main())
