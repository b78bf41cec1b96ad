"""Interface of offline steps, run by :mod:`.runs`.

A step turns *items* of scans into files: frames into id maps, or whole scans
into arrays. It knows nothing of shards, workers, resuming and manifests.
"""
import abc
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Sequence, Union

from ...store.errors import FrameError
from ...store.posed_images import PosedImages
from ...store.records import ItemRecord


@dataclass(frozen=True)
class Product:
    """Result of one item."""
    files: Dict[str, bytes]  # Content by path relative to the store's root
    # JSON values for the record, e.g. ``regions=57``
    fields: Dict[str, Any] = field(default_factory=dict)


class FrameStep(abc.ABC):
    """One offline step.

    Worker processes get a pickled copy, so models are loaded at first use
    and not in the constructor.
    """

    #: Kind of the store that the step makes, e.g. ``'region_maps'``.
    kind: str
    #: What items are called in messages.
    unit: str = 'frames'
    #: Items per call of :meth:`process`.
    batch_size: int = 1
    #: Whether the step must stay in the main process (models on a GPU).
    in_process: bool = False
    #: Whether items' files are removed once :meth:`finish` has packed them.
    packs_items: bool = False

    @abc.abstractmethod
    def settings(self) -> Dict[str, Any]:
        """Settings that determine the result, as JSON.

        No absolute paths; a checkpoint is named by its hash.
        """

    @abc.abstractmethod
    def scans(self) -> List[str]:
        """Names of all scans of the input, sorted."""

    @abc.abstractmethod
    def items(self, scan: str) -> List[str]:
        """Names of a scan's items: its frames, or the scan itself."""

    @abc.abstractmethod
    def paths(self, scan: str, item: str) -> List[str]:
        """Files of an item, relative to the store."""

    def make(self, scan: str, item: str) -> Product:
        """Make the product of one item.

        FrameError when the item must be skipped, StoreError when the run has
        to stop.
        """
        raise NotImplementedError

    def process(self, scan: str,
                items: Sequence[str]) -> List[Union[Product, FrameError]]:
        """Make the products of some items; one by one unless overridden.

        Takes at most ``batch_size`` items of a scan. An error in the place of
        a product says why the item is skipped. StoreError when the run has to
        stop.
        """
        results: List[Union[Product, FrameError]] = []
        for item in items:
            try:
                results.append(self.make(scan, item))
            except FrameError as error:
                results.append(error)
        return results

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """Fingerprints of an item's inputs.

        The run records them with the product; see :meth:`is_up_to_date`.

        By the name of the input; an empty one is unknown. FrameError when an
        input is missing.
        """
        return {}

    def is_up_to_date(self, scan: str, item: str, record: ItemRecord) -> bool:
        """Whether a product matches the current inputs.

        If it does not, the item is made again.
        """
        try:
            return record.is_up_to_date(self.inputs(scan, item))
        except FrameError:
            return False  # making it again says why

    def begin(self, scan: str) -> Dict[str, bytes]:
        """Files of the scan that come before its items.

        By relative path. FrameError when the scan cannot be used and must be
        skipped.
        """
        return {}

    def finish(self, scan: str, items: Dict[str, ItemRecord],
               read: Callable[[str], bytes]) -> Dict[str, bytes]:
        """Files of the scan that come from all of its complete items.

        By relative path. An item without files of its own was packed by an
        earlier run.
        """
        return {}


class PosedFramesStep(FrameStep):
    """A step whose items are the frames of ``posed_images``."""

    #: The frames; set by the constructor.
    images: PosedImages

    def scans(self) -> List[str]:
        """Scans with frames."""
        return self.images.scans()

    def items(self, scan: str) -> List[str]:
        """Names of the frames.

        FrameError when the scan's cameras or names cannot be used, or its
        frames are incomplete.
        """
        self.images.checksums(scan)
        self.images.cameras(scan)
        return self.images.frames(scan)


class ScanStep(FrameStep):
    """A step in which a scan is one item."""
    unit = 'scans'

    def items(self, scan: str) -> List[str]:
        """The scan itself."""
        return [scan]
