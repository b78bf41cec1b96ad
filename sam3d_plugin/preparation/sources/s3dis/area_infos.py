"""Infos and ``seg_info`` of S3DIS's areas, as mmdet3d's configs name them."""
from collections import Counter
from typing import Any, Dict, List, Sequence

import numpy as np
from rich.console import Console

from ....store.errors import StoreError
from ....store.files import BackendArgs, PathLike, join, write_bytes
from ....store.manifest import Store
from ...lifting.region_paths import name_all_region_files
from ...running.runs import RunOptions, run_step
from ..scans.infos import encode_infos, segmentation_files
from ..scans.source_files import check_unclaimed
from .raw import AREAS
from .rooms import DETECTION_CLASSES, RoomStep

# Points per sample of mmdet3d's S3DIS segmentation configs: a room is drawn
# once per so many of its points.
_POINTS_PER_SAMPLE = 4096


def write_areas(out: PathLike,
                rooms: Sequence[str],
                backend_args: BackendArgs = None) -> List[str]:
    """Write the infos of the areas that have all ``rooms``; returns them.

    Others still have rooms to come from another shard. StoreError when none of
    an area's rooms can be used.
    """
    manifest = Store(out, backend_args).manifest()
    written = []
    for area in (f'Area_{number}' for number in AREAS):
        names = [name for name in rooms if name.startswith(f'{area}_')]
        if not names or any(name not in manifest for name in names):
            continue
        fields = [
            manifest[name].items[name].fields for name in names
            if name in manifest[name].completed
        ]
        if not fields:
            raise StoreError(f'{area}: all {len(names)} rooms were skipped; '
                             'see the reasons in manifest.json')
        for path, content in area_files(area, fields).items():
            write_bytes(join(out, path), content, backend_args)
        written.append(area)
    return written


def prepare_rooms(step: RoomStep, out: PathLike, options: RunOptions) -> None:
    """Run the step and write the infos of the areas that are complete."""
    console = Console(soft_wrap=True, markup=False, highlight=False)
    check_unclaimed(
        Store(out, options.backend_args),
        [f'points/{room}.bin' for room in step.scans()])
    run_step(step, out, options, console)
    written = write_areas(out, step.scans(), options.backend_args)
    # Regions of an earlier run stay in use.
    name_all_region_files(out, join(out, 'regions'), options.backend_args)
    console.print('  infos of ' + (', '.join(written) or 'no area yet; other '
                                   'shards have rooms left'))
    for line in describe_flaws(Store(out, options.backend_args)):
        console.print(f'  {line}')


def describe_flaws(store: Store) -> List[str]:
    """Sentences on what was fixed or left out in all rooms."""
    totals: Counter = Counter()
    for record in store.manifest().values():
        for item in record.completed.values():
            for kind, value in item.fields['flaws'].items():
                totals[kind] += value if isinstance(value, int) else len(value)
    return [
        f'{count} {kind.replace("_", " ")}'
        for kind, count in sorted(totals.items())
    ]


def area_files(area: str, fields: List[Dict[str, Any]]) -> Dict[str, bytes]:
    """Infos and ``seg_info`` of one area, from :func:`describe_room`."""
    counts = np.sum([room['class_counts'] for room in fields], axis=0)
    infos = [dict(room['info'], sample_idx=i) for i, room in enumerate(fields)]
    files = segmentation_files(area, counts,
                               [room['num_points'] for room in fields],
                               _POINTS_PER_SAMPLE)
    files[f's3dis_infos_{area}.pkl'] = encode_infos('s3dis', DETECTION_CLASSES,
                                                    infos)
    return files
