"""The step that segments scans into superpoints, as their regions.

Shapes: N points.
"""
from dataclasses import asdict
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from rich.console import Console

from ...store.errors import FrameError
from ...store.files import BackendArgs, PathLike, join, list_names
from ...store.manifest import Store
from ...store.region_file import encode_region_file, hash_points
from ..lifting.region_paths import name_all_region_files
from ..point_files import read_points
from ..running.frame_steps import Product, ScanStep
from ..running.runs import RunOptions, run_step
from ..sources.scans.colors import scale_colors
from .superpoints import SuperpointOptions, make_superpoints


class SuperpointStep(ScanStep):
    """Points of scans to region files.

    Args:
        data (PathLike): Data set with a folder ``points`` in mmdet3d's form.
        options (SuperpointOptions): Sizes and weights.
        names (Optional[Sequence[str]]): Scans; None takes those whose points
            are there. Shards that are still writing points must give them,
            so that all of them share the same list.
        backend_args (BackendArgs): Arguments of the data's backend.
    """
    kind = 'scan_regions'

    def __init__(self,
                 data: PathLike,
                 options: SuperpointOptions,
                 names: Optional[Sequence[str]] = None,
                 backend_args: BackendArgs = None) -> None:
        self.points = join(data, 'points')
        self.options = options
        self.names = names
        self.backend_args = backend_args

    def settings(self) -> Dict[str, Any]:
        """The options of superpoints."""
        return dict(source='superpoints', options=asdict(self.options))

    def scans(self) -> List[str]:
        """The scans of the list, or those whose points are there."""
        if self.names is not None:
            return list(self.names)
        files = list_names(self.points, self.backend_args, suffix='.bin')
        return [file.removesuffix('.bin') for file in files]

    def paths(self, scan: str, item: str) -> List[str]:
        """The region file."""
        return [f'{scan}.npz']

    def make(self, scan: str, item: str) -> Product:
        points = read_points(self.points, scan, self.backend_args)
        try:
            # ScanNet stores 0 to 255, SUN RGB-D 0 to 1.
            rgb, _ = scale_colors(points[:, 3:])
            ids = make_superpoints(points[:, :3], rgb, self.options)
        except ValueError as error:
            raise FrameError(f'{scan}: {error}') from error
        content = encode_region_file(ids, points[:, :3], scan)
        covered = np.count_nonzero(ids) / len(ids)
        return Product({self.paths(scan, scan)[0]: content},
                       dict(
                           num_points=len(ids),
                           regions=int(ids.max()),
                           covered=round(covered, 4)))

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The points, with their colors."""
        return dict(
            points=hash_points(
                read_points(self.points, scan, self.backend_args)))


def make_regions(step: SuperpointStep,
                 data: PathLike,
                 out: PathLike,
                 options: RunOptions,
                 console: Optional[Console] = None) -> None:
    """Run the step and name the region files in the infos.

    The infos are left alone while another shard still has scans to do.
    """
    console = console or Console(soft_wrap=True, markup=False, highlight=False)
    run_step(step, out, options, console)
    missing = set(step.scans()) - set(
        Store(out, options.backend_args).recorded_scans())
    if missing:
        console.print(f'  {len(missing)} scan(s) are left to other shards; '
                      'the last one names the files in the infos')
        return
    named = name_all_region_files(data, out, options.backend_args)
    for file, (found, total) in named.items():
        console.print(f'  {file}: {found} of {total} scans have regions')
