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
from typing import List, Optional, Sequence

import numpy as np

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.checking.inspection import ScanInspection
from sam3d_plugin.preparation.checking.inspection_page import page_content
from sam3d_plugin.preparation.running.cli import json_object
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import join, list_names, write_bytes
from sam3d_plugin.store.posed_images import PosedImages
from sam3d_plugin.visualization.overlays import contact_sheet, encode_png
from sam3d_plugin.visualization.ply import write_ply
from sam3d_plugin.visualization.points import (colors_from_height,
                                               colors_from_ids)
from sam3d_plugin.visualization.scan_page import PageContent, write_scan_page


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--data', required=True, metavar='DIR', help='data set')
    parser.add_argument(
        '--scan',
        nargs='+',
        metavar='NAME',
        help='scans to show (default: the first one)')
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='folder to write (default: inspection in the data set)')
    parser.add_argument(
        '--frames',
        type=int,
        default=12,
        help='frames to show, evenly spaced (default: %(default)s)')
    parser.add_argument(
        '--max-side',
        type=int,
        default=640,
        help='longest side of the images on the page, pixels '
        '(default: %(default)s)')
    parser.add_argument(
        '--max-points',
        type=int,
        default=60000,
        help='points on the page (default: %(default)s)')
    parser.add_argument(
        '--groups',
        metavar='NAME',
        help='which set of region_groups (default: the first)')
    parser.add_argument(
        '--backend-args',
        type=json_object,
        metavar='JSON',
        help='arguments of mmengine.fileio for paths in an object store')
    args = parser.parse_args(argv)
    args.out = args.out or join(args.data, 'inspection')
    return args


def find_scans(args: argparse.Namespace) -> List[str]:
    """Scans to show.

    Args:
        args (argparse.Namespace): The command line.

    Returns:
        List[str]: Names.

    Raises:
        StoreError: When a name is not there, or none is.
    """
    images = PosedImages(join(args.data, 'posed_images'), args.backend_args)
    clouds = list_names(
        join(args.data, 'points'), args.backend_args, suffix='.bin')
    known = sorted({*images.scans(), *(name[:-4] for name in clouds)})
    if not known:
        raise StoreError(f'{args.data} has neither posed_images nor points; '
                         'prepare the data first')
    unknown = [name for name in args.scan or () if name not in known]
    if unknown:
        raise StoreError(f'{args.data} has no scan {" or ".join(unknown)}; '
                         f'it has {", ".join(known[:10])}'
                         f'{" ..." if len(known) > 10 else ""}')
    if args.scan is None and len(known) > 1:
        print(f'showing {known[0]}, the first of {len(known)} scans; choose '
              'others with --scan')
    return args.scan or known[:1]


def write_scan(args: argparse.Namespace, scan: str) -> None:
    """Write the files of one scan and say where they are."""
    inspection = ScanInspection(args.data, scan, args.groups,
                                args.backend_args)
    content = page_content(inspection, args.frames, args.max_points)
    for title, rows in content.tables.items():
        print(f'{scan}, {title.lower()}')
        for name, value in rows:
            print(f'  {name}: {value}')
    if content.frames:
        path = join(args.out, f'{scan}.png')
        sheet = contact_sheet(content.frames, title=scan)
        write_bytes(path, encode_png(sheet), args.backend_args)
        print(f'  {path}: {len(content.frames)} frames')
    _write_points(args, content)
    path = join(args.out, f'{scan}.html')
    size = write_scan_page(path, content, args.max_side, args.max_points,
                           args.backend_args)
    print(f'  {path}: {size / 1e6:.1f} MB, open it in a browser')


def _write_points(args: argparse.Namespace, content: PageContent) -> None:
    points = content.points
    if points is None:
        return
    rgb = points.rgb
    if rgb is None:
        rgb = colors_from_height(np.asarray(points.xyz))
    files = {'rgb': (rgb, '' if points.rgb is not None else 'height')}
    if points.region_ids is not None:
        files['regions'] = (colors_from_ids(points.region_ids), 'regions')
    for name, (colors, shown) in files.items():
        path = join(args.out, f'{content.title}_{name}.ply')
        write_ply(
            path,
            points.xyz,
            colors,
            points.region_ids,
            args.backend_args,
            colors_show=shown)
        print(f'  {path}: {len(points.xyz):,} points')


def show(args: argparse.Namespace) -> None:
    """Write the pages of all scans."""
    for scan in find_scans(args):
        write_scan(args, scan)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Show the scans; the exit status."""
    return run_tool(show, parse_args(argv), PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
