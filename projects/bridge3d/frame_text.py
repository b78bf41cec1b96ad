"""Text features of frames, such as those of captions."""
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
from mmdet3d.registry import TRANSFORMS

from sam3d_plugin.datasets.transforms.base import Step, data_folder
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.frame_rows import FrameRows

_SOURCE = 'the program that described the frames (projects/bridge3d/README.md)'


@TRANSFORMS.register_module()
class LoadFrameText(Step):
    """Read the text feature of a frame.

    Files are ``<scan>.safetensors`` of ``sam3d_plugin.store.frame_rows`` with
    the column ``text``, one row a frame.

    Required Keys:

    - data_root (str), scan (str), frame (str)

    Added Keys:

    - frame_text (Tensor): (C,) float32

    Args:
        folder (str): Folder of the files in the data set.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 folder: str = 'frame_text',
                 backend_args: Optional[dict] = None) -> None:
        self.folder = folder
        self.backend_args = backend_args
        self._rows: Dict[str, FrameRows] = {}

    @property
    def stores(self) -> List[Tuple[str, str]]:
        """Kind and folder of each store that is read."""
        return [('frame_text', self.folder)]

    def transform(self, results: dict) -> dict:
        """Add the feature.

        Raises FileNotFoundError when the scan has no file.
        Raises StoreError when a file is damaged, or a frame has not one
        finite feature.
        """
        root = data_folder(results, self.folder)
        if root not in self._rows:
            self._rows[root] = FrameRows(root, ('text', ), _SOURCE,
                                         self.backend_args)
        scan, frame = results['scan'], results['frame']
        text = self._rows[root].read(scan, frame)['text'].astype(np.float32)
        if len(text) != 1 or not np.isfinite(text).all():
            raise StoreError(f'{root}: {scan}/{frame} must have one finite '
                             f'text feature, not {len(text)} rows; run '
                             f'{_SOURCE} again')
        return dict(results, frame_text=torch.from_numpy(text[0]))
