"""V-DETR (Shen et al., ICLR 2024)."""
from mmdet3d.registry import MODELS

from .three_detr import ThreeDETR


@MODELS.register_module()
class VDETR(ThreeDETR):
    """A backbone that makes tokens and a :class:`VDETRHead`.

    Written from the paper: the released code has no license. Its sparse
    convolutions and feature pyramid give way to the tokens of
    ``PointTokenBackbone``, of which the likeliest propose the queries.
    """
