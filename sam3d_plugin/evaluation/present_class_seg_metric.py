"""mmdet3d's segmentation metric over the classes that a split contains."""
from typing import Dict, List, Optional

import numpy as np
from mmdet3d.evaluation import SegMetric
from mmdet3d.registry import METRICS
from mmengine.logging import print_log

from ..store.errors import UserError


@METRICS.register_module()
class PresentClassSegMetric(SegMetric):
    """``SegMetric`` that leaves out classes without a labeled point.

    mmdet3d's own metric counts a class that a small split does not contain
    as IoU 0 as soon as one point is predicted to be of it, and as nothing
    before. Here it is left out either way; the point stays an error of its
    true class. When every class occurs, both metrics are the same.
    """

    def compute_metrics(self, results: List[tuple]) -> Dict[str, float]:
        """``SegMetric``'s results without the absent classes.

        Raises ValueError when the split has no labeled point at all.
        """
        names = self.dataset_meta['label2cat']
        present = self._present_labels(results)
        if not present:
            raise UserError('no point of the split has a label, so there is '
                            'nothing to evaluate; choose a split with '
                            'labeled scans')
        metrics: Optional[dict] = super().compute_metrics(results)
        absent = [label for label in names if label not in present]
        if metrics is None or not absent:
            return metrics or {}
        for label in absent:
            metrics.pop(names[label])
        metrics['miou'] = float(
            np.mean([metrics[names[label]] for label in sorted(present)]))
        print_log(
            f'{len(absent)} of {len(names)} classes have no labeled point in '
            'this split and are left out: '
            f'{", ".join(names[label] for label in absent)}; the mIoU of the '
            f'others is {metrics["miou"]:.4f}',
            logger='current')
        return metrics

    def _present_labels(self, results: List[tuple]) -> set:
        """Labels of classes that at least one point has."""
        labels: set = set()
        for truth, _ in results:
            labels.update(np.unique(truth['pts_semantic_mask']).tolist())
        labels.discard(self.dataset_meta['ignore_index'])
        return labels & set(self.dataset_meta['label2cat'])
