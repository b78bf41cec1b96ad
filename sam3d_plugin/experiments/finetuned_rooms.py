"""Rooms as a fine-tuned detector or segmentor sees them, for a report."""
import re
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
import torch
from mmengine.config import Config

from ..engine.checkpoint import find_newest_checkpoint
from ..inference import AnnotatedScans, Predictor
from ..visualization import finetuning_sections as sections
from ..visualization.report_page import Section
from ..visualization.scan_page import evenly
from ..visualization.scene import Scene
from .report_inputs import read_curves, read_json, stop

SCORES = 'scores.json'


def shipped_section(scores: str, data: str, count: int) -> Section:
    """What the detector that comes with the package makes of a data set.

    ``scores`` is the file of what tools/test.py measured there.
    """
    predict = Predictor(cfg_options=dict(data_root=data))
    run = sections.FineTuning(
        model=predict.cfg.model.type,
        encoder='',
        steps=predict.cfg.train_cfg.max_iters,
        val_rooms=len(AnnotatedScans(predict.cfg).names),
        palette=dict(zip(predict.classes, predict.palette)),
        scores=read_json(scores))
    return sections.detection_section(_detected_rooms(predict, count), run)


def room_section(kind: str, work_dir: str, count: int) -> Optional[Section]:
    """What the newest model of a work directory makes of its test set.

    ``kind`` is detector or segmentor; None where nothing was trained.
    """
    checkpoint = find_newest_checkpoint(work_dir)
    if checkpoint is None:
        print(f'{work_dir} has no checkpoint of tools/train.py: the page '
              f'shows no {kind}')
        return None
    # mmengine leaves the config there, with all options.
    configs = sorted(
        Path(work_dir).glob('*.py'), key=lambda path: path.stat().st_mtime)
    if not configs:
        stop(f'{work_dir} has no config in it; name the --work-dir of '
             'tools/train.py')
    predict = Predictor(str(configs[-1]), checkpoint)
    if predict.is_segmentor != (kind == 'segmentor'):
        stop(f'--{kind} {work_dir}: {configs[-1].name} is not a {kind}; '
             'detectors go to --detector, segmentors to --segmentor')
    run = read_fine_tuning(work_dir, configs[-1], predict)
    if predict.is_segmentor:
        return sections.segmentation_section(
            _segmented_rooms(predict, count), run)
    return sections.detection_section(_detected_rooms(predict, count), run)


def read_fine_tuning(work_dir: str, config: Path,
                     predict: Predictor) -> sections.FineTuning:
    """Read what is known of a fine-tuning.

    Args:
        work_dir (str): Its work directory.
        config (Path): Its config.
        predict (Predictor): The trained model.

    Returns:
        sections.FineTuning: With scores, when ``scores.json`` is there.

    Raises:
        SystemExit: When nothing was logged, or the scores are damaged.
    """
    # The predictor has taken the initialization out of its own.
    model = Config.fromfile(config).model
    curves = read_curves(work_dir)
    losses = curves.losses['loss']
    scores = Path(work_dir, SCORES)
    return sections.FineTuning(
        model=model.type,
        encoder=(model.backbone.get('init_cfg') or {}).get('checkpoint', ''),
        steps=step_of(predict.checkpoint, curves.steps[-1]),
        step_s=curves.step_s,
        losses=(losses[0], losses[-1]),
        val_rooms=len(AnnotatedScans(predict.cfg).names),
        palette=dict(zip(predict.classes, predict.palette)),
        scores=read_json(scores) if scores.exists() else {})


def step_of(checkpoint: str, logged: int) -> int:
    """Steps that a checkpoint has seen."""
    found = re.fullmatch(r'iter_(\d+)', Path(checkpoint).stem)
    return int(found.group(1)) if found else logged


def _detected_rooms(predict: Predictor, count: int) -> List[Scene]:
    scans = AnnotatedScans(predict.cfg)
    return [
        replace(
            scans.scene(index),
            predicted=predict.detect_sample(scans.dataset, index, 0.0))
        for index in evenly(range(len(scans.names)), count)
    ]


def _segmented_rooms(predict: Predictor,
                     count: int) -> List[sections.SegmentedRoom]:
    scans = AnnotatedScans(predict.cfg)
    rooms = []
    for index in evenly(range(len(scans.names)), count):
        points, sample = predict.predict_sample(scans.dataset, index)
        rooms.append(
            sections.SegmentedRoom(scans.names[index], points,
                                   _labels(sample.eval_ann_info),
                                   _labels(sample.pred_pts_seg)))
    return rooms


def _labels(content: Dict[str, np.ndarray]) -> np.ndarray:
    return torch.as_tensor(content['pts_semantic_mask']).cpu().numpy()
