"""mmdet3d 1.x infos of scans, and ScanNet's ``seg_info``.

The form is that of mmdet3d's ``scannet_converter`` after
``update_infos_to_v2``; names of files are relative to their folders, which
mmdet3d's configs give as ``data_prefix``.

Shapes: N points, R boxes.
"""
import io
import pickle
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, List, Sequence, Tuple

import numpy as np

from ....store import encode_region_file
from ....store.errors import BROKEN_PICKLE, StoreError
from ....store.files import BackendArgs, PathLike, read_bytes, write_bytes
from .scan import (CLASS_NAMES, DETECTION_CLASSES, MAX_NYU40_ID,
                   SEGMENTATION_IDS, Scan)
from .source_files import brief

# Folders of a data set, as mmdet3d's configs name them, and ours.
FOLDERS = ('points', 'instance_mask', 'semantic_mask', 'regions', 'seg_info')

# Points per sample of mmdet3d's ScanNet segmentation config: a scan is drawn
# once per so many of its points.
_POINTS_PER_SAMPLE = 8192


@dataclass(frozen=True)
class StoredScan:
    """Infos of a scan whose arrays are written."""
    info: Dict[str, Any]  # Entry of ``data_list``
    num_points: int  # N
    class_counts: np.ndarray  # (20,) points of each segmentation class

    def to_fields(self) -> Dict[str, Any]:
        """The same as JSON, for the record of a scan."""
        return dict(
            info=self.info,
            num_points=self.num_points,
            class_counts=[int(count) for count in self.class_counts])

    @classmethod
    def from_fields(cls, fields: Dict[str, Any]) -> 'StoredScan':
        """Back from a record."""
        return cls(fields['info'], fields['num_points'],
                   np.array(fields['class_counts'], dtype=np.int64))


def scan_files(scan: Scan) -> Dict[str, bytes]:
    """The arrays of a scan as files, by path relative to the data set.

    ValueError when its region ids cannot be stored.
    """
    assert scan.semantic is not None and scan.instance is not None
    points = np.concatenate([scan.xyz, scan.rgb], axis=1).astype('<f4')
    files = {}
    if scan.regions is not None:
        files[f'regions/{scan.name}.npz'] = encode_region_file(
            scan.regions, points[:, :3], scan.name)
    arrays = dict(
        instance_mask=scan.instance.astype('<i8'),
        semantic_mask=scan.semantic.astype('<i8'),
        points=points)
    for folder, array in arrays.items():
        files[f'{folder}/{scan.name}.bin'] = array.tobytes()
    return files


def describe_scan(scan: Scan) -> StoredScan:
    """Infos of a scan, for the infos and ``seg_info``."""
    assert scan.semantic is not None
    counts = np.bincount(scan.semantic, minlength=MAX_NYU40_ID + 1)
    return StoredScan(
        info=scene_info(scan),
        num_points=len(scan.xyz),
        class_counts=counts[list(SEGMENTATION_IDS)])


def store_scan(scan: Scan, out: Path) -> StoredScan:
    """Write the arrays of a scan, and describe it."""
    for name, content in scan_files(scan).items():
        write_bytes(out / name, content)
    return describe_scan(scan)


def scene_info(scan: Scan) -> Dict[str, Any]:
    """The entry of a scan in ``data_list``.

    With ``pts_region_path`` when it has regions, and ``offset``, meters to add
    to the stored points, when one was subtracted.
    """
    assert scan.boxes is not None and scan.box_classes is not None
    labels = {number: label for label, number in enumerate(CLASS_NAMES)}
    info: Dict[str, Any] = dict(
        lidar_points=dict(num_pts_feats=6, lidar_path=f'{scan.name}.bin'),
        pts_semantic_mask_path=f'{scan.name}.bin',
        pts_instance_mask_path=f'{scan.name}.bin',
        axis_align_matrix=scan.axis_align.tolist(),
        instances=[
            dict(bbox_3d=box.tolist(), bbox_label_3d=labels[int(number)])
            for box, number in zip(scan.boxes, scan.box_classes)
        ])
    if scan.offset.any():
        info['offset'] = scan.offset.tolist()
    if scan.regions is not None:
        info['pts_region_path'] = f'{scan.name}.npz'
    return info


def read_infos(
        path: PathLike,
        backend_args: BackendArgs = None) -> Tuple[Dict[str, Any], List[str]]:
    """An infos file of mmdet3d 1.x, and the names of its scans.

    It is a pickle, since mmdet3d reads it so: only one of one's own.
    StoreError for files of another form.
    """
    content = read_bytes(path, backend_args)
    try:
        infos = pickle.loads(content)
        return infos, [
            PurePosixPath(info['lidar_points']['lidar_path']).stem
            for info in infos['data_list']
        ]
    except BROKEN_PICKLE as error:
        raise StoreError(
            f'{path} does not hold infos of mmdet3d 1.x '
            f'({brief(error)}); prepare the scans again') from (error)


def info_path(out: Path, split: str) -> Path:
    """Path of the infos of a split, as mmdet3d's configs name it."""
    return out / f'scannet_infos_{split}.pkl'


def write_split(out: Path, split: str, scans: Sequence[StoredScan]) -> Path:
    """Write the infos and the ``seg_info`` of one split; returns the infos."""
    files = segmentation_files(
        split, np.sum([scan.class_counts for scan in scans], axis=0),
        [scan.num_points for scan in scans])
    path = info_path(out, split)
    files[path.name] = encode_infos('scannet', DETECTION_CLASSES,
                                    [scan.info for scan in scans])
    for name, content in files.items():
        write_bytes(out / name, content)
    return path


def encode_infos(dataset: str, classes: Iterable[str],
                 data_list: List[Dict[str, Any]]) -> bytes:
    """An infos file of mmdet3d 1.1; labels are indices of the classes."""
    metainfo = dict(
        categories={
            name: i
            for i, name in enumerate(classes)
        },
        dataset=dataset,
        info_version='1.1')
    return pickle.dumps(dict(metainfo=metainfo, data_list=data_list))


def segmentation_files(
        split: str,
        class_counts: np.ndarray,
        num_points: List[int],
        points_per_sample: int = _POINTS_PER_SAMPLE) -> Dict[str, bytes]:
    """The two arrays of ``seg_info`` that mmdet3d's segmentation reads."""
    arrays = dict(
        label_weight=label_weights(class_counts),
        resampled_scene_idxs=resampled_indices(num_points, points_per_sample))
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        files[f'seg_info/{split}_{name}.npy'] = buffer.getvalue()
    return files


def label_weights(class_counts: np.ndarray) -> np.ndarray:
    """Weights of the segmentation classes, 1 / log(1.2 + share).

    The rule of PointNet++'s ScanNet loader, which mmdet3d follows.

    Args:
        class_counts (np.ndarray): (20,) points per class.

    Returns:
        np.ndarray: (20,) float32; all equal where nothing is labeled.
    """
    counts = np.asarray(class_counts, dtype=np.float32)
    shares = counts / max(counts.sum(), 1)
    return (1 / np.log(1.2 + shares)).astype(np.float32)


def resampled_indices(
        num_points: List[int],
        points_per_sample: int = _POINTS_PER_SAMPLE) -> np.ndarray:
    """Each scan's index, int32, once per sample that its points make.

    Every scan is in it, also those of fewer points than a sample.
    """
    repeats = [max(round(n / points_per_sample), 1) for n in num_points]
    return np.repeat(np.arange(len(repeats)), repeats).astype(np.int32)
