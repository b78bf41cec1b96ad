"""Pairs of frames that see the same place, for pre-training on two views."""
from typing import Any, Dict, List

from mmdet3d.registry import DATASETS
from mmengine.logging import print_log

from sam3d_plugin.store.errors import StoreError, UserError
from sam3d_plugin.store.frame_rows import FrameRows
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages
from sam3d_plugin.store.records import ScanRecord
from .frame_index import describe_skipped
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
        pair (str): ``'frames'``, or ``'self'`` where frames do not overlap:
            both views are of one frame, whose pixels are drawn twice, and
            nothing of the tool is read.
        pair_folder (str): Folder of tools/preparation/pair_frames.py in the
            data set.
        min_overlap (float): Smallest overlap of a pair.
        **kwargs (Any): See :class:`RGBDFrameDataset`.
    """

    def __init__(self,
                 pair: str = 'frames',
                 pair_folder: str = 'frame_pairs',
                 min_overlap: float = 0.3,
                 **kwargs: Any) -> None:
        if pair not in ('frames', 'self'):
            raise UserError(f'pair {pair!r} is unknown; choose frames or self')
        self.pair = pair
        self.pair_folder = pair_folder
        self.min_overlap = min_overlap
        super().__init__(**kwargs)

    def load_data_list(self) -> List[dict]:
        """``scan``, ``frame`` and ``partners`` of frames that have some.

        Scans that could not be paired are left out.

        Raises FileNotFoundError when a scan has not been paired.
        Raises StoreError when no frame has partners, or pairs are of other
        frames.
        """
        frames = super().load_data_list()
        if self.pair == 'self':
            return [dict(info, partners=[info['frame']]) for info in frames]
        root = data_folder(dict(data_root=self.data_root), self.pair_folder)
        rows = FrameRows(root, ('partner', 'overlap'), _TOOL,
                         self.backend_args)
        usable = {(info['scan'], info['frame']) for info in frames}
        unpaired = self._find_unpaired(root,
                                       sorted({scan
                                               for scan, _ in usable}))
        self.skipped.update(unpaired)
        paired = []
        for info in frames:
            if info['scan'] in unpaired:
                continue
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
        if not paired and len(unpaired) == len({scan for scan, _ in usable}):
            raise StoreError(f'{root}: no scan could be paired: '
                             f'{describe_skipped(unpaired, 1)}')
        if not paired:
            raise StoreError(
                f'{root}: none of {len(frames)} frames overlaps another of '
                f'its scan by {self.min_overlap}; lower min_overlap, or set '
                "pair='self' for two views of one frame")
        print_log(
            f'{len(paired):,} of {len(frames):,} frames have partners' +
            (f'; {describe_skipped(unpaired)}' if unpaired else ''),
            logger='current')
        return paired

    def _find_unpaired(self, root: str, scans: List[str]) -> Dict[str, str]:
        """Reasons of the scans that the tool skipped, by name.

        Pairs of frames that have been made again since are refused.
        """
        store = Store(root, self.backend_args)
        images = PosedImages(
            dict(self._stores())['posed_images'], self.backend_args)
        records = store.manifest() if store.exists() else {}
        reasons = {}
        for scan in scans:
            for item in records.get(scan, ScanRecord(scan)).items.values():
                if item.status != 'ok':
                    reasons[scan] = item.reason
                elif not item.is_up_to_date(
                        dict(frames=images.fingerprint(scan))):
                    raise StoreError(f'{root}: the pairs of {scan} are of '
                                     f'older frames; run {_TOOL} again')
        return reasons

    def get_data_info(self, idx: int) -> dict:
        """That of the frame, and ``views``, what differs in each."""
        info = super().get_data_info(idx)
        partner = str(sample_generator().choice(info['partners']))
        return dict(info, views=[{}, dict(frame=partner)])
