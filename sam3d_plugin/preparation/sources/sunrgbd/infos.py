"""mmdet3d 1.x infos of SUN RGB-D.

The form is that of mmdet3d's ``sunrgbd_data_utils`` after
``update_infos_to_v2``; names of files are relative to their folders, which
mmdet3d's configs give as ``data_prefix``.
"""
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from ....store.errors import StoreError
from ....store.files import list_names
from ....store.manifest import Store
from ..scans.infos import encode_infos
from .scan import Calibration, SunBox, SunSource

#: In the order of mmdet3d.datasets.SUNRGBDDataset.METAINFO.
CLASSES = ('bed', 'table', 'sofa', 'chair', 'toilet', 'desk', 'dresser',
           'night_stand', 'bookshelf', 'bathtub')

#: Scans of the official split.
TOTALS = {'train': 5285, 'val': 5050}

#: Files of the infos, by version of the boxes.
PREFIXES = {'v2': 'sunrgbd', 'v1': 'sunrgbd_v1'}

# What mmdet3d takes from the tilted frame to the camera.
_TO_CAMERA = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def scan_info(scan: str, calibration: Calibration,
              shape: Tuple[int, int]) -> Dict[str, Any]:
    """The entry of a scan in ``data_list``, without its instances.

    JSON values; ``depth2img`` counts pixels from 1, as mmdet3d's does.
    """
    depth_to_image = calibration.intrinsics @ _TO_CAMERA @ calibration.tilt.T
    camera = dict(
        depth2img=depth_to_image.tolist(),
        img_path=f'{scan}.jpg',
        height=shape[0],
        width=shape[1])
    return dict(
        lidar_points=dict(num_pts_feats=6, lidar_path=f'{scan}.bin'),
        images=dict(CAM0=camera))


def instances_of(boxes: Sequence[SunBox]) -> List[Dict[str, Any]]:
    """``instances`` of the boxes of mmdet3d's ten classes, as JSON values."""
    return [
        dict(
            bbox_3d=box.box.tolist(),
            bbox=box.corners.tolist(),
            bbox_label_3d=CLASSES.index(box.name),
            bbox_label=CLASSES.index(box.name)) for box in boxes
        if box.name in CLASSES
    ]


def check_totals(counts: Dict[str, int], source: str, partial: bool) -> None:
    """StoreError without scans or, unless ``partial``, with another number
    than in the official split."""
    found = ' and '.join(f'{counts[split]} {split}' for split in TOTALS)
    if not any(counts.values()):
        raise StoreError(f'{source} has no scan; check the folder')
    if not partial and any(counts[split] != TOTALS[split] for split in TOTALS):
        wanted = ' and '.join(f'{n} {split}' for split, n in TOTALS.items())
        raise StoreError(f'{source} has {found} scans, not {wanted}; complete '
                         'it, or add --partial to continue with these')


def write_infos(source: SunSource, store: Store, partial: bool) -> List[str]:
    """Write the infos of both splits once every scan is prepared.

    Scans with a file in ``regions/`` get ``pts_region_path``, so running the
    tool again after the regions are lifted adds them. Returns lines for the
    log. StoreError when scans were skipped, so that the totals are not met.
    """
    splits, records = source.splits(), store.manifest()
    missing = [
        name for names in splits.values() for name in names
        if name not in records
    ]
    if missing:
        return [
            f'{len(missing)} scans are left to other shards; the infos are '
            'written by the run that finds them all'
        ]
    regions = set(list_names(store.path('regions'), store.backend_args))
    complete = {
        split: [name for name in names if records[name].completed]
        for split, names in splits.items()
    }
    check_totals({
        split: len(names)
        for split, names in complete.items()
    }, store.root, partial)
    lines = []
    for version in source.versions:
        for split, names in complete.items():
            fields = [records[name].items[name].fields for name in names]
            data_list = []
            for name, values in zip(names, fields):
                info = dict(
                    values['info'], instances=values['instances'][version])
                if f'{name}.npz' in regions:
                    info['pts_region_path'] = f'{name}.npz'
                data_list.append(info)
            skipped = sum(v['incomplete_boxes'][version] for v in fields)
            lines.append(
                _write(store, version, split, data_list) +
                f'; {skipped} boxes without a 2D box are skipped' *
                bool(skipped))
    return lines


def _write(store: Store, version: str, split: str,
           data_list: List[Dict[str, Any]]) -> str:
    file = f'{PREFIXES[version]}_infos_{split}.pkl'
    if not data_list:
        return f'{file} is not written: no scan'
    store.write({file: encode_infos('sunrgbd', CLASSES, data_list)})
    boxes = sum(len(info['instances']) for info in data_list)
    return f'{file}: {len(data_list)} scans, {boxes} boxes'
