"""Annotated scans, read by the test pipeline of a model.

Shapes: N points.
"""
import os.path as osp
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy as np
from mmdet3d.registry import DATASETS
from mmengine.config import Config
from mmengine.fileio import get

from ..engine.scan_visualizer import to_boxes
from ..store import read_region_file
from ..store.errors import UserError
from ..visualization.points import colors_from_height, colors_from_ids
from ..visualization.scene import Scene
from .predictor import single_dataset


class AnnotatedScans:
    """The scans of a split.

    Args:
        cfg (Config): Config with ``test_dataloader``.
        split (str): 'test', 'val' or 'train'; the test pipeline reads them.

    Raises:
        FileNotFoundError: When the info file is missing.
        ValueError: When the split does not name a single info file.
    """

    def __init__(self, cfg: Config, split: str = 'test') -> None:
        settings = single_dataset(cfg)
        if split != 'test':
            source = single_dataset(cfg, split, 'ann_file')
            settings.update({
                key: source[key]
                for key in ('data_root', 'ann_file', 'data_prefix')
                if key in source
            })
        settings['test_mode'] = True
        infos = osp.join(
            settings.get('data_root', ''), settings.get('ann_file', ''))
        if '://' not in infos and not osp.exists(infos):
            raise FileNotFoundError(
                f'{infos} is missing; run '
                'tools/preparation/import_scans.py, or give the folder with '
                '--cfg-options data_root=DIR')
        self.dataset = DATASETS.build(settings)
        self.names = [
            Path(points_file(self.dataset.get_data_info(i))).stem
            for i in range(len(self.dataset))
        ]

    def find(self, names: Optional[Sequence[str]]) -> Dict[str, int]:
        """Position of each scan in the data set; no names find all.

        Raises ValueError when a name is unknown; the known ones are listed.
        """
        known = {name: i for i, name in enumerate(self.names)}
        unknown = [name for name in names or () if name not in known]
        if unknown:
            more = ' …' if len(known) > 20 else ''
            raise UserError(f'{self.dataset.ann_file} has no scan '
                            f'{" or ".join(unknown)}; it has '
                            f'{", ".join(self.names[:20])}{more}')
        return {name: known[name] for name in names or known}

    def scene(self, index: int, color: str = 'rgb') -> Scene:
        """All points of a scan with its true boxes, aligned frame, meters.

        ``color`` is 'rgb', 'height' or 'region'; height where the scan has no
        colors.

        Raises FileNotFoundError when the point or region file is missing.
        Raises ValueError when the point file is truncated, or colors by region
        are asked for and the scan has none.
        """
        info = self.dataset.get_data_info(index)
        truth = info['eval_ann_info']
        true = to_boxes(truth['gt_bboxes_3d'], truth['gt_labels_3d'],
                        self.dataset.metainfo['classes'])
        values = _read_points(info)
        align = np.asarray(info.get('axis_align_matrix', np.eye(4)))
        points = values[:, :3] @ align[:3, :3].T + align[:3, 3]
        if color == 'region':
            colors = colors_from_ids(_read_regions(info, values[:, :3]))
        elif color == 'rgb' and values.shape[1] >= 6:
            rgb = values[:, 3:6]
            # ScanNet stores 0 to 255, SUN RGB-D 0 to 1.
            rgb = rgb * 255 if rgb.max() <= 1 else rgb
            colors = rgb.clip(0, 255).astype(np.uint8)
        else:
            colors = colors_from_height(points)
        return Scene(self.names[index], points, colors, true)


def points_file(info: Dict[str, Any]) -> str:
    """Path of a scan's points, which SUN RGB-D's dataset names elsewhere."""
    return info.get('lidar_path') or info['lidar_points']['lidar_path']


def _read_points(info: Dict[str, Any]) -> np.ndarray:
    """All values of a scan's points as stored, (N, columns)."""
    path, columns = points_file(info), info['lidar_points']['num_pts_feats']
    try:
        content = get(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path} is missing; import the scan again') from None
    if not content or len(content) % (4 * columns):
        raise UserError(f'{path} is empty or truncated: its size does not '
                        f'fit {columns} values per point; import it again')
    return np.frombuffer(content, np.float32).reshape(-1, columns)


def _read_regions(info: Dict[str, Any], xyz: np.ndarray) -> np.ndarray:
    """Region id of each point as stored, (N,)."""
    if not info.get('pts_region_path'):
        raise UserError(f'the infos of {points_file(info)} name no region '
                        'file; choose --color rgb or height')
    root = Path(points_file(info)).parent.parent
    return read_region_file(root / 'regions' / info['pts_region_path'], xyz)
