"""Pairs of frames that see the same place, for pre-training on two views."""
from typing import Any, List

from mmdet3d.registry import DATASETS
from mmengine.logging import print_log

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.frame_rows import FrameRows
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages
from .rgbd_frame_dataset import RGBDFrameDataset
from .seeding import sample_generator
from .transforms.base import data_folder

_TOOL = 'tools/preparation/pair_frames.py'


@DATASETS.register_module()
class FramePairDataset(RGBDFrameDataset):
    """Frames, each with another one of its scan that sees the same place.

    An epoch has one pair for each frame that has partners; the partner is
    drawn anew every epoch. ``TwoViews`` loads both, so the loading steps are
    among its ``transforms``.

    Args:
        pair_folder (str): Folder of tools/preparation/pair_frames.py in the
            data set.
        min_overlap (float): Smallest overlap of a pair.
        **kwargs (Any): See :class:`RGBDFrameDataset`.
    """

    def __init__(self,
                 pair_folder: str = 'frame_pairs',
                 min_overlap: float = 0.3,
                 **kwargs: Any) -> None:
        self.pair_folder = pair_folder
        self.min_overlap = min_overlap
        super().__init__(**kwargs)

    def load_data_list(self) -> List[dict]:
        """``scan``, ``frame`` and ``partners`` of frames that have some.

        Raises FileNotFoundError when a scan has not been paired.
        Raises StoreError when no frame has partners, or pairs are of other
        frames.
        """
        root = data_folder(dict(data_root=self.data_root), self.pair_folder)
        rows = FrameRows(root, ('partner', 'overlap'), _TOOL,
                         self.backend_args)
        frames = super().load_data_list()
        usable = {(info['scan'], info['frame']) for info in frames}
        self._check_up_to_date(root, sorted({scan for scan, _ in usable}))
        paired = []
        for info in frames:
            names = rows.frames(info['scan'])
            if info['frame'] not in names:
                continue
            found = rows.read(info['scan'], info['frame'])
            partners = [
                names[i]
                for i in found['partner'][found['overlap'] >= self.min_overlap]
                if (info['scan'], names[i]) in usable
            ]
            if partners:
                paired.append(dict(info, partners=partners))
        if not paired:
            raise StoreError(f'{root}: no frame has a partner with an overlap '
                             f'of {self.min_overlap}; lower min_overlap')
        print_log(
            f'{len(paired):,} of {len(frames):,} frames have partners',
            logger='current')
        return paired

    def _check_up_to_date(self, root: str, scans: List[str]) -> None:
        """Refuse pairs of frames that have been made again since."""
        store = Store(root, self.backend_args)
        images = PosedImages(
            dict(self._stores())['posed_images'], self.backend_args)
        records = store.manifest() if store.exists() else {}
        for scan in scans:
            for item in records[scan].items.values() if scan in records else (
            ):
                if not item.is_up_to_date(
                        dict(frames=images.fingerprint(scan))):
                    raise StoreError(f'{root}: the pairs of {scan} are of '
                                     f'older frames; run {_TOOL} again')

    def get_data_info(self, idx: int) -> dict:
        """That of the frame, and ``views``, what differs in each."""
        info = super().get_data_info(idx)
        partner = str(sample_generator().choice(info['partners']))
        return dict(info, views=[{}, dict(frame=partner)])
