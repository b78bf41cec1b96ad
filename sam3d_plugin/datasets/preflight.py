"""Checks of a config's data before a run starts, by file sizes only.

A missing or truncated file would otherwise end a training in the middle of
an epoch. Sizes of all files of 1,500 scans take about a second to read.
"""
import inspect
import logging
import os
import os.path as osp
import re
import shlex
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Optional

import mmengine
import numpy as np
from mmdet3d.datasets import S3DISDataset, ScanNetDataset
from mmdet3d.registry import DATA_SAMPLERS, DATASETS
from mmengine.logging import print_log

from sam3d_plugin.store.errors import BROKEN_PICKLE
from ..store.errors import UserError
from .label_checks import (check_boxes, check_classes, check_labels,
                           check_mask_classes)
from .seeded_sampler import SeededSampler
from .transforms.base import all_steps

_TOOLS = 'python tools/preparation/'
# Ends of lists of few labeled scans: a percentage, and a seed beside 0.
_FEW = re.compile(r'(?<=_train)_(\d+(?:\.\d+)?)(?:_seed(\d+))?\.pkl$')
_FRAME_DATASETS = ('RGBDFrameDataset', 'FramePairDataset')
_MASKS = dict(
    pts_instance_mask='with_mask_3d', pts_semantic_mask='with_seg_3d')
_REGION_FOLDER = 'regions'
# They build boxes without yaw, whatever the infos say.
_NO_YAW = (ScanNetDataset, S3DISDataset)


@dataclass(frozen=True)
class SceneLimits:
    """What the model asks of every scene."""

    max_boxes: Optional[int] = None  # Most boxes of a training scene
    min_points: int = 1  # Fewest points of a scan
    needs_regions: bool = False  # Whether every scan must have a region file
    region_column: Optional[int] = None  # Where the model reads region ids
    is_axis_aligned: bool = False  # Whether the model leaves out the yaw


def check_datasets(
    datasets: Iterable[Dict[str, Any]], limits: SceneLimits = SceneLimits()
) -> None:
    """Check every dataset of a config, also inside wrappers.

    Remote data and datasets that are not mmdet3d infos are left out.

    Raises FileNotFoundError if the data root, an annotation file or a file
    that it names is missing.
    Raises ValueError if a file has the wrong form or size, a class is unknown
    or has another label, a box has no size or a yaw that is not read, there
    are no boxes, or a scene is beyond the limits.
    """
    for wrapped in datasets:
        for dataset in find_leaf_datasets(wrapped):
            _check_dataset(dataset, limits)


def find_leaf_datasets(dataset: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """Settings of the datasets inside wrappers."""
    inner = [dataset.get('dataset'), *(dataset.get('datasets') or ())]
    inner = [part for part in inner if isinstance(part, dict)]
    if dataset and not inner:
        yield dataset
    for part in inner:
        yield from find_leaf_datasets(part)


def check_frame_loader(loader: Dict[str, Any]) -> None:
    """Refuse a training loader that would repeat one epoch's points.

    Raises ValueError when the sampler does not tell frames the epoch.
    """
    kind = str((loader.get('sampler') or {}).get('type'))
    tells_epoch = issubclass(DATA_SAMPLERS.get(kind) or object, SeededSampler)
    for dataset in find_leaf_datasets(loader.get('dataset') or {}):
        if (dataset.get('type') in _FRAME_DATASETS
                and not dataset.get('test_mode') and not tells_epoch):
            raise UserError(
                f'sampler {kind} does not tell RGBDFrameDataset seed and '
                'epoch, so every epoch would have the same points; use '
                "sampler=dict(type='SeededSampler', shuffle=True)")


def annotation_files(dataset: Dict[str, Any]) -> List[str]:
    """Annotation files of a dataset; S3DIS has one for each area."""
    names = dataset.get('ann_files') or dataset.get('ann_file') or []
    return [names] if isinstance(names, str) else list(names)


def _check_dataset(dataset: Dict[str, Any], limits: SceneLimits) -> None:
    """Check one dataset; frames check their stores when they are built."""
    root = str(dataset.get('data_root') or '')
    if '://' in root or dataset.get('backend_args'):
        print_log(
            f'{root} is remote: its files are not checked beforehand',
            logger='current')
        return
    names = annotation_files(dataset)
    if root and not osp.isdir(root):
        command = command_for_root(root, names[0] if names else '')
        raise FileNotFoundError(
            f'data root {root} is missing; make it with {command}, or point '
            'to it with --cfg-options data_root=PATH')
    kind = str(dataset.get('type'))
    known = DATASETS.get(kind)  # building reports an unknown one
    if known is None or kind in _FRAME_DATASETS:
        return
    own = getattr(known, 'METAINFO', {})
    check_classes(dataset, own, 'classes', kind)
    check_mask_classes(dataset, known)
    no_yaw = limits.is_axis_aligned or issubclass(known, _NO_YAW)
    for number, path in enumerate(osp.join(root, name) for name in names):
        if not path.endswith('.pkl'):
            continue
        infos = read_infos(path)
        _check_drawn_scans(dataset, number, len(infos['data_list']), path)
        _check_files(dataset, infos['data_list'], path, limits)
        if 'Seg' not in kind:  # segmentation reads classes from the masks
            check_classes(dataset, infos['metainfo'], 'categories', path)
            check_labels(infos['metainfo'], own, path)
            check_boxes(infos['data_list'],
                        None if dataset.get('test_mode') else limits.max_boxes,
                        path, no_yaw)


def _check_drawn_scans(dataset: Dict[str, Any], number: int, num_scans: int,
                       path: str) -> None:
    """Compare the scans that a segmentor draws with those of its infos.

    ``scene_idxs`` holds their places in an annotation file, the one with this
    number of the data set's.
    """
    drawn = dataset.get('scene_idxs')
    if isinstance(drawn, (list, tuple)) and number < len(drawn):
        drawn = drawn[number]
    file = osp.join(str(dataset.get('data_root') or ''), str(drawn))
    if dataset.get('test_mode') or not osp.isfile(file):
        return  # building reports a missing one
    places = np.unique(np.load(file))
    if len(places) and places[-1] >= num_scans:
        raise UserError(
            f'{file} draws scan {places[-1]}, and {path} has {num_scans} '
            'scans: set scene_idxs to the list that belongs to ann_file')
    if len(places) < num_scans:
        print_log(
            f'{num_scans - len(places)} of {num_scans} scans of {path} are '
            f'never trained on: {file} does not draw them',
            logger='current',
            level=logging.WARNING)


def read_infos(path: str) -> Dict[str, Any]:
    """Read an annotation file of mmdet3d 1.1 or later and check its form."""
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'annotation file {path} is missing; make it with '
            f'{command_for_file(path)}, or set ann_file in the config')
    try:
        infos = mmengine.load(path)
    except BROKEN_PICKLE as error:
        raise UserError(f'{path} is truncated or not a pickle file; make it '
                        'again') from error
    if isinstance(infos, list):
        raise UserError(
            f'{path} is a list, the form of mmdet3d before 1.1; convert it '
            "with mmdet3d's tools/dataset_converters/update_infos_to_v2.py "
            f'--pkl-path {path}')
    if not isinstance(infos, dict) or not {'metainfo', 'data_list'
                                           } <= set(infos):
        raise UserError(f'{path} has no metainfo and data_list, so it is not '
                        'an info file of mmdet3d 1.1 or later; make it with '
                        f'{command_for_file(path)}')
    return infos


def _check_files(dataset: Dict[str, Any], data_list: List[Dict[str, Any]],
                 path: str, limits: SceneLimits) -> None:
    """Refuse missing files, wrong sizes, and scans beyond the limits."""
    steps = {
        step.get('type'): step
        for step in all_steps(dataset.get('pipeline') or ())
    }
    loader = steps.get('LoadPointsFromFile')
    if loader is None:
        return
    if limits.needs_regions:
        _check_region_column(loader, limits.region_column)
    folders = _folders(dataset)
    masks = [
        key for key, option in _MASKS.items()
        if steps.get('LoadAnnotations3D', {}).get(option)
    ]
    for info in data_list:
        name = info.get('lidar_points', {}).get('lidar_path')
        if name is None:
            raise UserError(
                f'{path}: a scene names no lidar_points.lidar_path, so it is '
                'not an info file of an indoor data set of mmdet3d 1.1 or '
                'later; make it again')
        scan = osp.join(folders.get('pts', ''), name)
        num_points = _count_points(scan, loader.get('load_dim', 6), path)
        if num_points < limits.min_points:
            raise UserError(
                f'{scan} has {num_points} points, and the model makes '
                f'{limits.min_points} tokens or neighbors of them; leave out '
                'the scan or lower num_tokens')
        for key in masks:
            if f'{key}_path' in info:
                mask = osp.join(folders.get(key, ''), info[f'{key}_path'])
                _check_mask(mask, num_points, path)
        _check_regions(info, scan, steps.get('LoadRegionIds'), path, limits)


def _check_region_column(loader: Dict[str, Any],
                         expected: Optional[int]) -> None:
    """Compare where ``LoadRegionIds`` puts ids with where they are read."""
    used = loader.get('use_dim', 3)
    column = (used if isinstance(used, int) else len(used)) + bool(
        loader.get('shift_height'))
    if expected not in (None, column):
        raise UserError(
            f'LoadRegionIds adds the region ids as point column {column}, and '
            f'the backbone reads column {expected}; set '
            f'model.backbone.region_column={column}')


def _check_regions(info: Dict[str, Any], scan: str, step: Optional[dict],
                   path: str, limits: SceneLimits) -> None:
    """Check a scan's region file, where LoadRegionIds looks for it."""
    name = info.get('pts_region_path')
    if limits.needs_regions and (step is None or not name):
        missing = 'the pipeline has no LoadRegionIds' if step is None else (
            f'{path} names no region file for {scan}')
        raise UserError(
            f'the tokens are regions, but {missing}; import the scan with '
            'region ids, or use kNN tokens')
    if step is not None and name:
        folder = step.get('region_folder', _REGION_FOLDER)
        _size(osp.join(osp.dirname(osp.dirname(scan)), folder, name), path)


def _folders(dataset: Dict[str, Any]) -> Dict[str, str]:
    """Folder of each kind of file, as the dataset class will join them."""
    prefixes = dataset.get('data_prefix')
    if prefixes is None:
        parameters = inspect.signature(DATASETS.get(
            dataset['type'])).parameters
        prefixes = parameters['data_prefix'].default
    root = str(dataset.get('data_root') or '')
    return {key: osp.join(root, name) for key, name in prefixes.items()}


def _size(path: str, named_by: str) -> int:
    """Bytes of a file that an annotation file names."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path}, named in {named_by}, is missing; import the scans '
            'again') from None


def _count_points(path: str, load_dim: int, named_by: str) -> int:
    """Number of points of a ``.bin`` of float32, from its size."""
    size = _size(path, named_by)
    if size == 0 or size % (load_dim * 4):
        raise UserError(
            f'{path} has {size} bytes, not a multiple of points of '
            f'{load_dim} float32 values: truncated, or load_dim is wrong')
    return size // (load_dim * 4)


def _check_mask(path: str, num_points: int, named_by: str) -> None:
    """Refuse a mask that does not have one int64 label per point."""
    size = _size(path, named_by)
    if size != num_points * 8:
        raise UserError(
            f'{path} has {size} bytes, but one int64 label for each of '
            f'{num_points} points takes {num_points * 8}: truncated, or of '
            'another scan; import the scan again')


def command_for_file(path: str) -> str:
    """The command that makes an annotation file in an existing data root."""
    few = _FEW.search(path)
    if few:
        full = shlex.quote(_FEW.sub('.pkl', path))
        return (f'{_TOOLS}make_few_label_lists.py {full} '
                f'--percentages {few[1]} --seeds {few[2] or 0}')
    return command_for_root(osp.dirname(path), osp.basename(path))


def command_for_root(root: str, name: str) -> str:
    """The command that makes a data set, or two where both are possible.

    The name of an annotation file tells its kind; words in capitals stand for
    what only the user knows.
    """
    out = shlex.quote(root)
    if name.startswith('sunrgbd'):
        return f'{_TOOLS}prepare_sunrgbd.py --source RELEASE --out {out}'
    if name.startswith('s3dis'):
        return f'{_TOOLS}prepare_s3dis.py --source RELEASE --out {out}'
    if 'synthrooms' in root:
        return f'{_TOOLS}make_synthrooms.py --size quick --out {out}'
    return (f'{_TOOLS}prepare_scannet.py --source RELEASE --lists LISTS '
            f'--out {out} (the release) or {_TOOLS}import_scans.py --source '
            f'DIR --out {out} (your scans)')
