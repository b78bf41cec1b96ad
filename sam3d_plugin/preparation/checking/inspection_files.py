"""Pictures, colored points and a page of the prepared data of a scan."""
from typing import List, Optional, Sequence

import numpy as np

from ...store.errors import StoreError
from ...store.files import BackendArgs, join, list_names, write_bytes
from ...store.posed_images import PosedImages
from ...visualization.overlays import contact_sheet, encode_png
from ...visualization.ply import write_ply
from ...visualization.points import colors_from_height, colors_from_ids
from ...visualization.scan_page import PageContent, write_scan_page
from .inspection import ScanInspection
from .inspection_page import page_content

MAX_SIDE = 640  # of the images on the page, pixels


def find_scans(data: str,
               wanted: Optional[Sequence[str]] = None,
               backend_args: BackendArgs = None) -> List[str]:
    """Scans to show.

    Args:
        data (str): Data set.
        wanted (Optional[Sequence[str]]): Names. Defaults to the first scan.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        List[str]: Names.

    Raises:
        StoreError: When a name is not there, or none is.
    """
    images = PosedImages(join(data, 'posed_images'), backend_args)
    clouds = list_names(join(data, 'points'), backend_args, suffix='.bin')
    known = sorted({*images.scans(), *(name[:-4] for name in clouds)})
    if not known:
        raise StoreError(f'{data} has neither posed_images nor points; '
                         'prepare the data first')
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise StoreError(f'{data} has no scan {" or ".join(unknown)}; '
                         f'it has {", ".join(known[:10])}'
                         f'{" ..." if len(known) > 10 else ""}')
    if wanted is None and len(known) > 1:
        print(f'showing {known[0]}, the first of {len(known)} scans; choose '
              'others with --scan')
    return list(wanted or known[:1])


def write_scan(data: str,
               scan: str,
               out: str,
               num_frames: int,
               max_points: int,
               groups: Optional[str] = None,
               backend_args: BackendArgs = None) -> None:
    """Write the files of one scan and say where they are.

    Args:
        data (str): Data set.
        scan (str): Name of the scan.
        out (str): Folder to write.
        num_frames (int): Frames to show, evenly spaced.
        max_points (int): Points on the page.
        groups (Optional[str]): Set of region_groups. Defaults to the first.
        backend_args (BackendArgs): Arguments of the file backend.
    """
    inspection = ScanInspection(data, scan, groups, backend_args)
    content = page_content(inspection, num_frames, max_points)
    for title, rows in content.tables.items():
        print(f'{scan}, {title.lower()}')
        for name, value in rows:
            print(f'  {name}: {value}')
    stem = join(out, scan)
    if content.frames:
        sheet = contact_sheet(content.frames, title=scan)
        write_bytes(f'{stem}.png', encode_png(sheet), backend_args)
        print(f'  {stem}.png: {len(content.frames)} frames')
    _write_points(stem, content, backend_args)
    size = write_scan_page(f'{stem}.html', content, MAX_SIDE, max_points,
                           backend_args)
    print(f'  {stem}.html: {size / 1e6:.1f} MB, open it in a browser')


def _write_points(stem: str, content: PageContent,
                  backend_args: BackendArgs) -> None:
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
        path = f'{stem}_{name}.ply'
        write_ply(
            path,
            points.xyz,
            colors,
            points.region_ids,
            backend_args,
            colors_show=shown)
        print(f'  {path}: {len(points.xyz):,} points')
