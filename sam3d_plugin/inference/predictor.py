"""Prediction of boxes or labels for single scans.

Shapes: N points, M boxes.
"""
import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np
import torch
from mmdet3d.registry import DATASETS, MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from numpy.typing import ArrayLike
from torch import nn

from .. import shipped
from ..datasets.preflight import find_leaf_datasets
from ..engine.compatibility import check_same_detector
from ..engine.options import read_config
from ..engine.scan_visualizer import to_boxes
from ..ops.random_state import keep_random_state, seeded
from ..preparation.sources.scans.frames import move_near_origin
from ..preparation.sources.scans.scan import Scan
from ..store.checkpoint import read_checkpoint
from ..store.errors import UserError
from ..store.literals import settings_of
from ..store.loading import load_encoder
from ..store.state_names import extract_state_dict
from ..visualization.boxes import LabelledBoxes
from .detections import Detections
from .file_frame import FileFrame
from .origins import place_scan
from .scenes import (DEFAULT_SCENE, INFOS, SceneOptions, colors_of, read_scene,
                     scene_of_arrays, write_scene)
from .segmentation import Segmentation

# Neighbors of a kNN token where a scan has no regions for its own tokens.
_NUM_NEIGHBORS = 32


class Predictor:
    """A trained detector or segmentor, for scans without annotations.

    Scans are read by the config's test pipeline, from where the model knows
    its rooms (see :func:`~.origins.place_scan`). One without region ids gets
    kNN tokens where the model was trained on regions: the encoder takes
    either, and the result says which it was.

    Args:
        config (str): Config of a detector or segmentor, ours or mmdet3d's.
            Defaults to the detector that comes with the package, which saw
            made-up rooms only.
        checkpoint (str): Its weights, all of them.
        device (Optional[str]): Defaults to cuda if present, else cpu.
        cfg_options (Optional[Dict[str, Any]]): Changes of the config.

    Raises:
        FileNotFoundError: When a file is missing.
        ValueError: When the weights are another model's or not finite.

    Examples:
        >>> from sam3d_plugin import Predictor
        >>> find = Predictor('work_dirs/finetuning/votenet_synthrooms_mini.py',
        ...                  'work_dirs/finetuning/iter_2.pth')
        >>> found = find('room.ply', score_thr=0.)
        >>> sorted(found.to_dict()['boxes'][0])
        ['center', 'class', 'score', 'size', 'yaw']
    """

    def __init__(self,
                 config: str = shipped.CONFIG,
                 checkpoint: str = shipped.DETECTOR,
                 device: Optional[str] = None,
                 cfg_options: Optional[Dict[str, Any]] = None) -> None:
        # mmdet3d prints tables of its datasets to the current logger.
        MMLogger.get_instance('predict').setLevel('WARNING')
        self.cfg = read_config(str(config), cfg_options or {})
        init_default_scope(self.cfg.get('default_scope', 'mmdet3d'))
        self.checkpoint = str(checkpoint)
        self.device = device or ('cuda'
                                 if torch.cuda.is_available() else 'cpu')
        self.model = self._build_model()
        self._tokenizers: List[Tuple[nn.Module, Any]] = [
            (module, module.tokenizer) for module in self.model.modules()
            if hasattr(module, 'tokenizer')
        ]
        self._propagation = getattr(self._head, 'propagation', None)

    @property
    def is_segmentor(self) -> bool:
        """Whether :meth:`segment` is the method to call."""
        return self._head is not None

    @property
    def _head(self) -> Any:
        """The head of a segmentor, else None."""
        return getattr(self.model, 'decode_head', None)

    def _build_model(self) -> BaseModel:
        content = read_checkpoint(self.checkpoint)
        check_same_detector(
            settings_of(content).get('model') or {}, self.cfg.model,
            self.checkpoint)
        state = extract_state_dict(content, self.checkpoint)
        settings = self.cfg.model
        # All weights come from the checkpoint.
        (settings.get('backbone') or {}).pop('init_cfg', None)
        with keep_random_state():
            model = MODELS.build(settings)
        load_encoder(model, state, source=self.checkpoint)
        return model.to(self.device).eval()

    def __call__(self,
                 scan: Union[str, Path, Scan, ArrayLike],
                 rgb: Optional[ArrayLike] = None,
                 region_ids: Optional[ArrayLike] = None,
                 score_thr: float = 0.3,
                 options: SceneOptions = DEFAULT_SCENE) -> Detections:
        """Find the objects of a scan.

        Args:
            scan (Union[str, Path, Scan, ArrayLike]): A file of a scan
                (``scan_readers.ENDINGS``), or (N, 3) xyz in meters with z up.
            rgb (Optional[ArrayLike]): (N, 3) colors of the array, 0 to 255
                or floats from 0 to 1; for pictures only.
            region_ids (Optional[ArrayLike]): (N,) ids of the array, 0 = in
                no region.
            score_thr (float): Boxes of lower scores are left out.
            options (SceneOptions): How a file or array is to be understood.

        Returns:
            Detections: The boxes, the best first; none is a result too.

        Raises:
            FileNotFoundError: When the file is missing.
            ValueError: When the scan cannot be used, or the config is not a
                detector's.
        """
        scan = _as_scan(scan, rgb, region_ids, options)
        tokens = self._choose_tokens(scan)
        near = move_near_origin(scan)
        placed, origin = place_scan(near, single_dataset(self.cfg)['pipeline'])
        origin = origin + near.aligned_offset
        sample = self._run(placed)
        if 'pred_instances_3d' not in sample:
            raise UserError('the config is not a detector: it predicts '
                            f'{", ".join(sample.keys())}')
        boxes = self._select(sample.pred_instances_3d, score_thr, origin)
        return Detections(scan.name, boxes, scan.aligned_xyz, colors_of(scan),
                          scan.axis_align, float(score_thr), tokens,
                          list(placed.notes), FileFrame.of(scan))

    def segment(self,
                scan: Union[str, Path, Scan, ArrayLike],
                rgb: Optional[ArrayLike] = None,
                region_ids: Optional[ArrayLike] = None,
                options: SceneOptions = DEFAULT_SCENE) -> Segmentation:
        """Find the class of every point of a scan, in the scan's order.

        The arguments are those of :meth:`__call__`. A config that is not a
        segmentor's is refused, and a test pipeline that leaves out points.

        Raises FileNotFoundError when the file is missing.
        Raises ValueError when the scan cannot be used, the config is not a
        segmentor's, or its test pipeline leaves out points.
        """
        scan = _as_scan(scan, rgb, region_ids, options)
        tokens = self._choose_tokens(scan)
        near = move_near_origin(scan)
        sample = self._run(near)
        if 'pts_seg_logits' not in sample:
            raise UserError('the config is not a segmentor: it predicts '
                            f'{", ".join(sample.keys())}')
        logits = sample.pts_seg_logits.pts_seg_logits
        if logits.shape[1] != len(scan.xyz):
            raise UserError(
                f'{scan.path} has {len(scan.xyz)} points, and the test '
                f'pipeline kept {logits.shape[1]}: take out its sampling')
        best = logits.float().softmax(dim=0).max(dim=0)
        return Segmentation(scan.name,
                            best.indices.cpu().numpy(),
                            best.values.cpu().numpy(), self.classes,
                            self.palette, scan.aligned_xyz, scan.axis_align,
                            tokens, list(near.notes), FileFrame.of(scan))

    def _choose_tokens(self, scan: Scan) -> str:
        """Set the tokenizers for a scan and describe them."""
        summaries: List[str] = []
        if self._propagation is not None:
            self._head.propagation = self._propagation
        for module, trained in self._tokenizers:
            tokenizer, summary = trained, trained.summary()
            if trained.uses_regions and scan.regions is None:
                tokenizer = MODELS.build(
                    dict(
                        type='KNNTokenizer',
                        num_tokens=trained.num_tokens,
                        num_neighbors=_NUM_NEIGHBORS))
                summary = (f'{tokenizer.summary()} (the scan has no '
                           f'regions; the model was trained on {summary})')
                if self._propagation is not None:
                    # kNN tokens do not share out all points.
                    self._head.propagation = 'three_nn'
            module.tokenizer = tokenizer
            needed = tokenizer.points_needed
            if len(scan.xyz) < needed:
                raise UserError(
                    f'{scan.path} has {len(scan.xyz)} points, and the model '
                    f'makes {needed} tokens or neighbors of them; take a '
                    'denser scan')
            summaries.append(summary)
        return ' · '.join(summaries) or 'none (mmdet3d backbone)'

    def _run(self, scan: Scan) -> Det3DDataSample:
        """Read the scan through the test pipeline and predict."""
        with tempfile.TemporaryDirectory() as folder:
            write_scene(scan, Path(folder))
            return self.predict_sample(build_dataset(self.cfg, folder), 0)[1]

    @torch.no_grad()
    def predict_sample(self,
                       dataset: BaseDataset,
                       index: int,
                       seed: int = 0) -> Tuple[np.ndarray, Det3DDataSample]:
        """Points (N, 3) that the model saw of a sample, and what it predicts.

        ``dataset`` reads with the test pipeline. Stock pipelines and some of
        mmdet3d's heads sample at random, by ``seed``.
        """
        with seeded(seed):
            batch = pseudo_collate([dataset[index]])
            points = batch['inputs']['points'][0][:, :3].cpu().numpy()
            return points, self.model.test_step(batch)[0]

    def detect_sample(self,
                      dataset: BaseDataset,
                      index: int,
                      score_thr: float,
                      seed: int = 0) -> LabelledBoxes:
        """The objects of a sample of a data set, the best first.

        See :meth:`predict_sample`; boxes that are not finite are refused.

        Raises ValueError when a box is not finite.
        """
        sample = self.predict_sample(dataset, index, seed)[1]
        return self._select(sample.pred_instances_3d, score_thr, np.zeros(3))

    def _select(self, instances: InstanceData, score_thr: float,
                origin: np.ndarray) -> LabelledBoxes:
        """Boxes with scores >= the threshold, best first, moved back."""
        if not torch.isfinite(instances.bboxes_3d.tensor).all():
            raise UserError(f'{self.checkpoint} predicts boxes that are not '
                            'finite; use a checkpoint from before the '
                            'training diverged')
        instances = instances[instances.scores_3d >= score_thr]
        instances = instances[instances.scores_3d.argsort(
            descending=True, stable=True)]
        found = to_boxes(instances.bboxes_3d, instances.labels_3d,
                         self.classes, instances.scores_3d)
        return replace(
            found, boxes=found.boxes + np.append(origin, np.zeros(4)))

    @property
    def classes(self) -> Tuple[str, ...]:
        """Names of the classes, by label."""
        settings = single_dataset(self.cfg)
        known = (settings.get('metainfo') or {}).get('classes')
        return tuple(
            known or DATASETS.get(settings['type']).METAINFO['classes'])

    @property
    def palette(self) -> List[List[int]]:
        """Colors of the classes, by label."""
        known = DATASETS.get(single_dataset(self.cfg)['type']).METAINFO
        colors = dict(zip(known['classes'], known['palette']))
        return [list(colors[name]) for name in self.classes]


def _as_scan(scan: Union[str, Path, Scan, ArrayLike], rgb: Optional[ArrayLike],
             region_ids: Optional[ArrayLike], options: SceneOptions) -> Scan:
    """Convert any form of a scan."""
    if not isinstance(scan, (str, Path, Scan)):
        return scene_of_arrays(scan, rgb, region_ids, options=options)
    if rgb is not None or region_ids is not None:
        raise UserError('rgb and region_ids belong to an array of xyz; a '
                        'file or Scan brings its own')
    return scan if isinstance(scan, Scan) else read_scene(scan, options)


def single_dataset(cfg: Config,
                   split: str = 'test',
                   key: str = 'pipeline') -> Dict[str, Any]:
    """A copy of the settings of a data set, without its wrappers.

    ``split`` is 'test', 'val' or 'train'; ``key`` is what the settings must
    have.

    Raises ValueError when there is no such data set.
    """
    loader = cfg.get(f'{split}_dataloader') or {}
    dataset = deepcopy(loader.get('dataset') or {})
    dataset = next(find_leaf_datasets(dataset), dataset)
    if key not in dataset:
        raise UserError(f'{cfg.filename} has no {split}_dataloader with '
                        f'{key}; give the config of a detector or segmentor')
    return dataset


def build_dataset(cfg: Config, root: str) -> BaseDataset:
    """The config's test data set on what :func:`.scenes.write_scene` wrote."""
    settings = single_dataset(cfg)
    # S3DIS has several.
    infos = 'ann_files' if 'ann_files' in settings else 'ann_file'
    settings.update({infos: INFOS},
                    data_root=root,
                    test_mode=True,
                    modality=dict(use_camera=False, use_lidar=True))
    settings.pop('backend_args', None)
    return DATASETS.build(settings)
