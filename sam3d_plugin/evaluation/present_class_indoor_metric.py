"""mmdet3d's indoor metric over the classes that a split contains."""
from importlib import import_module
from typing import Any, Dict, List

import numpy as np
from mmdet3d.evaluation import IndoorMetric
from mmdet3d.registry import METRICS
from mmengine.logging import print_log

from ..store.errors import UserError


def _to_float(value: Any) -> float:
    """Convert a number, or an array that holds one number."""
    return np.asarray(value).item()


# mmdet3d's indoor evaluation converts arrays of one element, which numpy
# refuses from 2.4 on. This name hides the built-in function there only.
_module: Any = import_module('mmdet3d.evaluation.functional.indoor_eval')
_module.float = _to_float


@METRICS.register_module()
class PresentClassIndoorMetric(IndoorMetric):
    """``IndoorMetric`` that leaves out classes without a true box.

    mmdet3d's own metric divides by the number of true boxes, so that one
    prediction of a class that a small split does not contain makes the mean
    NaN. When every class occurs, both metrics are the same.
    """

    def compute_metrics(self, results: List[tuple]) -> Dict[str, float]:
        """``IndoorMetric``'s results over the present classes.

        Raises ValueError when the split holds no box at all.
        """
        present = {
            int(label)
            for truth, _ in results
            for label in truth['gt_labels_3d']
        }
        if not present:
            raise UserError('no scene of the split has a true box, so there '
                            'is nothing to evaluate; choose a split with '
                            'labeled scans')
        classes = self.dataset_meta['classes']
        absent = [
            name for label, name in enumerate(classes) if label not in present
        ]
        if absent:
            print_log(
                f'{len(absent)} of {len(classes)} classes have no true box '
                f'in this split and are left out: {", ".join(absent)}',
                logger='current')
        return super().compute_metrics([(truth,
                                         _only_labels(prediction, present))
                                        for truth, prediction in results])


def _only_labels(prediction: dict, labels: set) -> dict:
    """Return the predictions of some classes."""
    is_kept = [int(label) in labels for label in prediction['labels_3d']]
    is_kept = prediction['labels_3d'].new_tensor(is_kept).bool()
    return {
        key: prediction[key][is_kept]
        for key in ('labels_3d', 'bboxes_3d', 'scores_3d')
    }
