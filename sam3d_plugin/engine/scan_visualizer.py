"""Pictures of scans for mmdet3d's tools, without a display or open3d."""
from typing import Any, List, Optional, Sequence

import mmcv
import numpy as np
import torch
from mmdet3d.registry import VISUALIZERS
from mmdet3d.structures import Det3DDataSample
from mmengine.visualization import Visualizer
from torch import Tensor

from ..store.errors import UserError, check_shares
from ..visualization.box_groups import PREDICTED_COLOR, TRUE_COLOR, BoxGroup
from ..visualization.boxes import LabelledBoxes
from ..visualization.render import draw_room
from ..visualization.scene import Scene


@VISUALIZERS.register_module()
class ScanVisualizer(Visualizer):
    """Draw a scan with its boxes, or in the colors of its classes.

    mmdet3d's ``browse_dataset.py`` and ``Det3DVisualizationHook`` call it.
    """

    @classmethod
    def get_instance(cls, name: str = 'scans', **kwargs: Any) -> Any:
        """Return the visualizer of a name; ``browse_dataset.py`` has none."""
        return super().get_instance(name, **kwargs)

    def add_datasample(self,
                       name: str,
                       data_input: dict,
                       data_sample: Optional[Det3DDataSample] = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       out_file: Optional[str] = None,
                       pred_score_thr: float = 0.3,
                       step: int = 0,
                       **_: Any) -> None:
        """Draw one scan into a file, or else into the logs of the run.

        Args:
            name (str): Title in the logs.
            data_input (dict): ``points`` (N, 3 or more), meters, z up.
            data_sample (Optional[Det3DDataSample]): Boxes or classes.
            draw_gt (bool): Whether to draw true boxes or classes.
            draw_pred (bool): Whether to draw predicted ones.
            show (bool): Whether a window is asked for.
            out_file (Optional[str]): Image file.
            pred_score_thr (float): Lowest score drawn, 0 to 1.
            step (int): Step in the logs.

        Raises:
            ValueError: When a window is asked for, or ``pred_score_thr`` is
                not in [0, 1].
        """
        check_shares('ScanVisualizer', pred_score_thr=pred_score_thr)
        if show:
            raise UserError('ScanVisualizer opens no window; pass --not-show '
                            'and --output-dir to browse_dataset.py')
        points = np.asarray(torch.as_tensor(data_input['points']).cpu())
        groups, colors = [], None
        for kind, is_drawn, color in (('gt', draw_gt, TRUE_COLOR),
                                      ('pred', draw_pred, PREDICTED_COLOR)):
            if not is_drawn or data_sample is None:
                continue
            boxes = self._boxes(data_sample, kind, pred_score_thr)
            if boxes is not None:
                legend = 'true' if kind == 'gt' else 'predicted'
                groups.append(BoxGroup(boxes, color, legend))
            mask = data_sample.get(f'{kind}_pts_seg',
                                   {}).get('pts_semantic_mask')
            if mask is not None:
                colors = self._class_colors(mask)
        image = draw_room(Scene(name, points[:, :3], colors), groups)
        if out_file is None:
            self.add_image(name, image, step)
        else:
            mmcv.imwrite(image[..., ::-1], out_file)

    def _boxes(self, sample: Det3DDataSample, kind: str,
               score_thr: float) -> Optional[LabelledBoxes]:
        """True or predicted boxes of a sample, None when it has none."""
        instances = sample.get(f'{kind}_instances_3d')
        if instances is None or 'bboxes_3d' not in instances:
            return None
        assert self.dataset_meta is not None
        scores = instances.get('scores_3d')
        boxes = to_boxes(instances.bboxes_3d, instances.labels_3d,
                         self.dataset_meta['classes'], scores)
        if boxes.scores is None:
            return boxes
        return boxes.select(boxes.scores >= score_thr)

    def _class_colors(self, labels: Any) -> np.ndarray:
        """Color of each point's class (N, 3) uint8, black for others."""
        assert self.dataset_meta is not None
        palette: List = [*self.dataset_meta['palette'], (0, 0, 0)]
        labels = torch.as_tensor(labels).cpu().numpy()
        known = (labels >= 0) & (labels < len(palette) - 1)
        return np.array(palette, np.uint8)[np.where(known, labels, -1)]


def to_boxes(boxes: Any,
             labels: Any,
             classes: Sequence[str],
             scores: Optional[Tensor] = None) -> LabelledBoxes:
    """Convert mmdet3d's boxes.

    Args:
        boxes (Any): M boxes.
        labels (Any): (M,) class indices; boxes of other
            indices are left out.
        classes (Sequence[str]): Class names.
        scores (Optional[Tensor]): (M,) scores.

    Returns:
        LabelledBoxes: Boxes by gravity center, on the CPU.
    """
    values = torch.cat([boxes.gravity_center, boxes.dims, boxes.yaw[:, None]],
                       dim=1).cpu().numpy()
    labels = torch.as_tensor(labels).cpu().numpy()
    keep = np.flatnonzero((labels >= 0) & (labels < len(classes)))
    kept_scores = None if scores is None else torch.as_tensor(
        scores).cpu().numpy()[keep]
    return LabelledBoxes(values[keep], [classes[i] for i in labels[keep]],
                         kept_scores)
