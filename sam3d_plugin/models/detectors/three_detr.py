"""3DETR (Misra et al., ICCV 2021)."""
from typing import Dict

from mmdet3d.models.detectors.single_stage import SingleStage3DDetector
from mmdet3d.registry import MODELS
from mmdet3d.structures.det3d_data_sample import OptSampleList, SampleList
from torch import Tensor


@MODELS.register_module()
class ThreeDETR(SingleStage3DDetector):
    """A backbone that makes tokens and a :class:`ThreeDETRHead`.

    ``ThreeDETRBackbone`` makes it 3DETR or 3DETR-m; ``PointTokenBackbone``
    brings a pre-trained encoder.
    """

    def loss(self, batch_inputs_dict: dict,
             batch_data_samples: SampleList) -> Dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            batch_inputs_dict (dict): ``points``, one (N, 3 + D) per scene.
            batch_data_samples (SampleList): With the true boxes.

        Returns:
            Dict[str, Tensor]: The losses.
        """
        return self.bbox_head.loss(batch_inputs_dict['points'],
                                   self.extract_feat(batch_inputs_dict),
                                   batch_data_samples)

    def predict(self, batch_inputs_dict: dict,
                batch_data_samples: SampleList) -> SampleList:
        """Find the objects of a batch.

        Args:
            batch_inputs_dict (dict): ``points``, one (N, 3 + D) per scene.
            batch_data_samples (SampleList): One per scene.

        Returns:
            SampleList: The same with ``pred_instances_3d``.
        """
        results = self.bbox_head.predict(batch_inputs_dict['points'],
                                         self.extract_feat(batch_inputs_dict),
                                         batch_data_samples)
        return self.add_pred_to_datasample(batch_data_samples, results)

    def _forward(self,
                 batch_inputs_dict: dict,
                 data_samples: OptSampleList = None) -> Dict[str, Tensor]:
        return self.bbox_head(batch_inputs_dict['points'],
                              self.extract_feat(batch_inputs_dict))
