"""What an offline step says about itself, so that :mod:`.runs` can run it.

A step turns *items* of scans into files: frames into id maps, or whole scans
into arrays. It knows nothing of shards, workers, resuming and manifests.
"""
import abc
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Sequence, Union

from ...store.errors import FrameError
from ...store.posed_images import PosedImages


@dataclass(frozen=True)
class Product:
    """What a step made of one item.

    Args:
        files (dict): Content by path relative to the store's root. They are
            written in this order; the last one marks the item as whole.
        fields (dict): JSON values for the record, e.g. ``regions=57``.
    """
    files: Dict[str, bytes]
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
    removes_parts: bool = False

    @abc.abstractmethod
    def settings(self) -> Dict[str, Any]:
        """Everything that the result depends on, as JSON.

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
        """Files of an item, relative to the store; the last marks it."""

    @abc.abstractmethod
    def process(self, scan: str,
                items: Sequence[str]) -> List[Union[Product, FrameError]]:
        """Make the products of some items of a scan.

        Args:
            scan (str): Name of the scan.
            items (Sequence[str]): At most ``batch_size`` of its items.

        Returns:
            List[Union[Product, FrameError]]: One for each item. An error
            says why an item is skipped.

        Raises:
            StoreError: When the whole run has to stop.
        """

    @abc.abstractmethod
    def adopt(self, scan: str, item: str,
              files: Dict[str, bytes]) -> Dict[str, Any]:
        """Fields of a product that a killed run has left without a record.

        Args:
            scan (str): Name of the scan.
            item (str): Name of the item.
            files (Dict[str, bytes]): All of its files.

        Returns:
            Dict[str, Any]: Exactly the fields that :meth:`process` gives.

        Raises:
            FrameError: When a file is not whole; the item is made again.
        """

    def is_current(self, scan: str, item: str, fields: Dict[str, Any]) -> bool:
        """Whether a whole product still belongs to its input.

        Args:
            scan (str): Name of the scan.
            item (str): Name of the item.
            fields (Dict[str, Any]): Of the item's record.

        Returns:
            bool: If not, the item is made again.
        """
        return True

    def begin(self, scan: str) -> Dict[str, bytes]:
        """Files of the scan that come before its items.

        Args:
            scan (str): Name of the scan.

        Returns:
            Dict[str, bytes]: By relative path.

        Raises:
            FrameError: When the scan cannot be used; all of it is skipped.
        """
        return {}

    def finish(self, scan: str, fields: Dict[str, Dict[str, Any]],
               read: Callable[[str], bytes]) -> Dict[str, bytes]:
        """Files of the scan that come from all of its whole items.

        Args:
            scan (str): Name of the scan.
            fields (Dict[str, Dict[str, Any]]): Of each whole item, in order.
            read (Callable[[str], bytes]): Reads a file by relative path.

        Returns:
            Dict[str, bytes]: By relative path.
        """
        return {}

    def restore(self, scan: str, item: str,
                read: Callable[[str], bytes]) -> Dict[str, bytes]:
        """Files of an item from what :meth:`finish` has packed.

        Needed when items are added to a scan whose parts are removed.

        Args:
            scan (str): Name of the scan.
            item (str): Name of the item.
            read (Callable[[str], bytes]): Reads a file by relative path.

        Returns:
            Dict[str, bytes]: As in the item's :class:`Product`.
        """
        raise NotImplementedError(f'{type(self).__name__} packs no items')


class PosedFramesStep(FrameStep):
    """A step whose items are the frames of ``posed_images``."""

    #: The frames; set by the constructor.
    images: PosedImages

    def scans(self) -> List[str]:
        """Scans with frames."""
        return self.images.scans()

    def items(self, scan: str) -> List[str]:
        """Names of the frames.

        Args:
            scan (str): Name of the scan.

        Returns:
            List[str]: Names.

        Raises:
            FrameError: When the scan's cameras or names cannot be used.
        """
        self.images.cameras(scan)
        return self.images.frames(scan)


def call_each(function: Callable[[str], Product],
              items: Sequence[str]) -> List[Union[Product, FrameError]]:
    """Process items one by one.

    Args:
        function (Callable[[str], Product]): Makes one product or raises
            FrameError.
        items (Sequence[str]): Names.

    Returns:
        List[Union[Product, FrameError]]: What :meth:`FrameStep.process`
        returns.
    """
    results: List[Union[Product, FrameError]] = []
    for item in items:
        try:
            results.append(function(item))
        except FrameError as error:
            results.append(error)
    return results
