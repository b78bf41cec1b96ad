"""The stand-in for a 2D foundation model that comes with the package."""
from pathlib import Path
from typing import Any, Dict

from .timm_encoder import TimmEncoder

WEIGHTS = Path(__file__).with_name('standin.safetensors')
MODEL, LAYER, STRIDE = 'resnet18', -1, 8
MODEL_KWARGS: Dict[str, Any] = dict(
    channels=(24, 48, 80, 112),
    output_stride=STRIDE,
    stem_type='deep',
    stem_width=16)


class StandInEncoder(TimmEncoder):
    """A small image model trained on labeled images of other made-up rooms.

    It takes the place that DINOv2, trained on 142 M photographs, has on real
    data. See standin.md beside its weights.

    Args:
        checkpoint (str): Weights of ``train_image_teacher.py``. Defaults to
            those of the package.
        long_side (int): See :class:`TimmEncoder`. Defaults to 320.
        batch_size (int): See :class:`TimmEncoder`. Defaults to 1.
        device (str): See :class:`TimmEncoder`. Defaults to ``'auto'``.
    """
    name = 'standin'

    def __init__(self,
                 checkpoint: str = str(WEIGHTS),
                 long_side: int = 320,
                 batch_size: int = 1,
                 device: str = 'auto') -> None:
        super().__init__(
            model=MODEL,
            checkpoint=checkpoint,
            layer=LAYER,
            long_side=long_side,
            batch_size=batch_size,
            device=device,
            model_kwargs=MODEL_KWARGS)
