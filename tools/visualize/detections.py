"""Draw a detector's boxes and the true ones into a scan's points.

    python tools/visualize/detections.py CONFIG CHECKPOINT --out DIR

For each scan, ``DIR/<scan>.png`` shows it from above and in perspective, and
``DIR/<scan>.html`` opens in any browser, offline, and rotates. No display and
no open3d are needed; CONFIG may be one of ours or mmdet3d's.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import os.path as osp
import sys
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmdet3d.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.fileio import get
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

from sam3d_plugin.cli.arguments import SettingAction, ToolParser
from sam3d_plugin.cli.value_types import (device_name, number_in,
                                          output_folder, whole_number)
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.engine.scan_visualizer import to_boxes
from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.store import read_region_file
from sam3d_plugin.store.checkpoint import (extract_state_dict, load_encoder,
                                           read_checkpoint)
from sam3d_plugin.visualization.boxes import LabelledBoxes, match_boxes
from sam3d_plugin.visualization.html import write_scene_html
from sam3d_plugin.visualization.points import (colors_from_height,
                                               colors_from_ids)
from sam3d_plugin.visualization.render import ViewOptions, render_scene


@dataclass(frozen=True)
class Scene:
    """What a picture of a scan shows.

    Args:
        name (str): Name of the scan.
        points (np.ndarray): (N, 3) xyz, axis-aligned, metres.
        colors (np.ndarray): (N, 3) uint8.
        true (LabelledBoxes): Boxes of the infos.
        predicted (LabelledBoxes): Boxes of the model above the threshold.
    """
    name: str
    points: np.ndarray
    colors: np.ndarray
    true: LabelledBoxes
    predicted: LabelledBoxes


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config of a detector')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument(
        '--out', type=output_folder, required=True, help='folder')
    parser.add_argument(
        '--split',
        choices=('test', 'val', 'train'),
        default='test',
        help='whose scans; the test pipeline reads them (default: test)')
    parser.add_argument(
        '--scan', nargs='+', metavar='NAME', help='only these scans')
    parser.add_argument(
        '--score-thr',
        type=number_in(0, 1),
        default=0.3,
        help='lowest score drawn (default: %(default)s)')
    parser.add_argument(
        '--max-boxes',
        type=whole_number,
        default=200,
        help='draw at most so many predictions of a scan, the best first '
        '(default: %(default)s)')
    parser.add_argument(
        '--color',
        choices=('rgb', 'height', 'region'),
        default='rgb',
        help='what colours the points (default: rgb; height where the scan '
        'has no colours)')
    parser.add_argument(
        '--max-height',
        type=number_in(0),
        default=2.2,
        help='leave out points higher above the floor, so that no ceiling '
        'hides the room, metres (default: %(default)s)')
    parser.add_argument(
        '--azimuth',
        type=float,
        default=ViewOptions.azimuth,
        help='where the camera stands, degrees counter-clockwise from the x '
        'axis (default: %(default)s)')
    parser.add_argument(
        '--seed', type=int, default=0, help='of random point sampling')
    parser.add_argument(
        '--device',
        type=device_name,
        help='default: cuda if present, else cpu')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=SettingAction,
        default={},
        help='changes of the config, as key=value')
    return parser.parse_args(argv)


def build_dataset(cfg: Config, split: str) -> BaseDataset:
    """Build the scans of a split, read by the test pipeline.

    Args:
        cfg (Config): Config with ``test_dataloader``.
        split (str): 'test', 'val' or 'train'.

    Returns:
        BaseDataset: The dataset, in test mode.

    Raises:
        FileNotFoundError: When its info file is missing.
        ValueError: When the split does not name a single info file.
    """
    dataset = _single_dataset(cfg, 'test')
    source = _single_dataset(cfg, split)
    for key in ('data_root', 'ann_file', 'data_prefix'):
        if key in source:
            dataset[key] = source[key]
    dataset['test_mode'] = True
    infos = osp.join(dataset.get('data_root', ''), dataset['ann_file'])
    if '://' not in infos and not osp.isfile(infos):
        raise FileNotFoundError(
            f'{infos} is missing; import the scans with '
            'tools/preparation/import_scans.py, or say where they are with '
            '--cfg-options data_root=DIR')
    return DATASETS.build(dataset)


def _single_dataset(cfg: Config, split: str) -> Dict[str, Any]:
    """Return the dataset of a split without its wrappers."""
    loader = cfg.get(f'{split}_dataloader')
    dataset = deepcopy(loader['dataset']) if loader else {}
    while 'ann_file' not in dataset and isinstance(
            dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    if 'ann_file' not in dataset:
        raise ValueError(
            f'{split}_dataloader of {cfg.filename} does not read a single '
            'info file; choose another --split')
    return dataset


def build_model(cfg: Config, checkpoint: str, device: str) -> BaseModel:
    """Build the detector with the weights of a checkpoint.

    Args:
        cfg (Config): Config with ``model``.
        checkpoint (str): File with all its tensors.
        device (str): Where the model runs.

    Returns:
        BaseModel: The model, in evaluation mode.
    """
    state = extract_state_dict(read_checkpoint(checkpoint), checkpoint)
    model = MODELS.build(cfg.model)
    report = load_encoder(
        model,
        state,
        allow_missing=cfg.get('allow_missing', ()),
        source=checkpoint)
    print(f'{checkpoint}: {report.summary()}')
    if report.unexpected:
        print(f'not used: {report.unexpected_summary()}')
    return model.to(device).eval()


def find_scans(dataset: BaseDataset,
               names: Optional[Sequence[str]]) -> Dict[str, int]:
    """Find scans by name.

    Args:
        dataset (BaseDataset): The scans.
        names (Optional[Sequence[str]]): Names looked for; all when None.

    Returns:
        Dict[str, int]: Position of each scan in the dataset.

    Raises:
        ValueError: When a name is not there; the known ones are listed.
    """
    known = {
        Path(points_file(dataset.get_data_info(i))).stem: i
        for i in range(len(dataset))
    }
    unknown = [name for name in names or () if name not in known]
    if unknown:
        listed = ', '.join(list(known)[:20])
        more = f' and {len(known) - 20} more' if len(known) > 20 else ''
        raise ValueError(f'{dataset.ann_file} has no scan '
                         f'{" or ".join(unknown)}; it has {listed}{more}')
    return {name: known[name] for name in names or known}


def points_file(info: Dict[str, Any]) -> str:
    """Path of a scan's points, which SUN RGB-D's dataset names elsewhere."""
    return info.get('lidar_path') or info['lidar_points']['lidar_path']


def read_points(info: Dict[str, Any], color: str) -> List[np.ndarray]:
    """Read a scan's points as its boxes see them, all of them.

    Args:
        info (Dict[str, Any]): Parsed info of the scan.
        color (str): 'rgb', 'height' or 'region'.

    Returns:
        List[np.ndarray]: Points (N, 3), aligned, metres; colours (N, 3)
        uint8.

    Raises:
        FileNotFoundError: When the point or region file is missing.
        ValueError: When the file is truncated, or colours by region are
            asked for and the scan has none.
    """
    path = points_file(info)
    columns = info['lidar_points']['num_pts_feats']
    try:
        values = np.frombuffer(get(path), dtype=np.float32)
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path} is missing; import the scan again') from None
    except ValueError:
        values = np.zeros(0, np.float32)
    if not len(values) or len(values) % columns:
        raise ValueError(f'{path} is empty or truncated: no whole number of '
                         f'points with {columns} values; import it again')
    values = values.reshape(-1, columns)
    align = np.asarray(info.get('axis_align_matrix', np.eye(4)))
    points = values[:, :3] @ align[:3, :3].T + align[:3, 3]
    if color == 'region':
        return [points, colors_from_ids(_read_regions(info, values[:, :3]))]
    if color == 'rgb' and columns >= 6:
        rgb = values[:, 3:6]
        # ScanNet stores 0 to 255, SUN RGB-D 0 to 1.
        rgb = rgb * 255 if rgb.max() <= 1 else rgb
        return [points, rgb.clip(0, 255).astype(np.uint8)]
    return [points, colors_from_height(points)]


def _read_regions(info: Dict[str, Any], xyz: np.ndarray) -> np.ndarray:
    """Return the region id of each point as stored, (N,)."""
    if not info.get('pts_region_path'):
        raise ValueError(f'the infos of {points_file(info)} name no region '
                         'file; choose --color rgb or height')
    root = Path(points_file(info)).parent.parent
    return read_region_file(root / 'regions' / info['pts_region_path'], xyz)


@torch.no_grad()
def predict_scene(model: BaseModel, dataset: BaseDataset, index: int,
                  args: argparse.Namespace) -> Scene:
    """Run the detector on a scan.

    Args:
        model (BaseModel): The detector.
        dataset (BaseDataset): The scans.
        index (int): Position of the scan.
        args (argparse.Namespace): Has ``seed``, ``score_thr``, ``color``.

    Returns:
        Scene: Points, true boxes and predictions from the threshold on,
        the best first.

    Raises:
        ValueError: When the model predicts something that is not finite.
    """
    info = dataset.get_data_info(index)
    name, classes = Path(points_file(info)).stem, dataset.metainfo['classes']
    # Seeded per scan, so that its picture does not depend on --scan.
    with seeded(args.seed):
        points, colors = read_points(info, args.color)
        batch = pseudo_collate([dataset[index]])
        instances = model.test_step(batch)[0].pred_instances_3d
    instances = instances[instances.scores_3d >= args.score_thr]
    instances = instances[instances.scores_3d.argsort(
        descending=True, stable=True)]
    if not torch.isfinite(instances.bboxes_3d.tensor).all():
        raise ValueError(f'{args.checkpoint} predicts boxes of {name} that '
                         'are not finite; take a checkpoint from before the '
                         'training diverged')
    predicted = to_boxes(instances.bboxes_3d, instances.labels_3d, classes,
                         instances.scores_3d)
    annotation = info['eval_ann_info']
    true = to_boxes(annotation['gt_bboxes_3d'], annotation['gt_labels_3d'],
                    classes)
    return Scene(name, points, colors, true, predicted)


def draw_scene(scene: Scene, args: argparse.Namespace) -> str:
    """Write the files of a scan.

    Args:
        scene (Scene): What they show.
        args (argparse.Namespace): Has ``out``, ``score_thr`` and the view.

    Returns:
        str: One line with the counts and the paths.
    """
    options = ViewOptions(
        azimuth=args.azimuth, max_height=args.max_height, seed=args.seed)
    stem = Path(args.out, scene.name)
    drawn = scene.predicted.select(slice(args.max_boxes))
    content = (scene.points, scene.colors, scene.true, drawn, scene.name)
    render_scene(f'{stem}.png', *content, options=options)
    write_scene_html(
        f'{stem}.html', *content, score_thr=args.score_thr, options=options)
    matches = match_boxes(scene.predicted, scene.true, options.iou_thr)
    limit = f' (the best {len(drawn)} drawn)'
    return (f'{scene.name}: {len(scene.true)} true boxes, '
            f'{len(scene.predicted)} predicted with score >= '
            f'{args.score_thr:g}{limit if len(drawn) < len(matches) else ""},'
            f' {(matches >= 0).sum()} matched at IoU {options.iou_thr:g} -> '
            f'{stem}.png {stem}.html')


def run(args: argparse.Namespace) -> None:
    """Draw the scans that the command line asks for."""
    # mmdet3d prints tables of its datasets to the current logger.
    MMLogger.get_instance('detections').setLevel('WARNING')
    cfg = read_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    dataset = build_dataset(cfg, args.split)
    scans = find_scans(dataset, args.scan)
    model = build_model(cfg, args.checkpoint, device)
    for index in scans.values():
        scene = predict_scene(model, dataset, index, args)
        print(draw_scene(scene, args), flush=True)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the tool; a user's mistake ends in one sentence."""
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
