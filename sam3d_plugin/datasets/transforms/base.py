"""Base classes of the pipeline steps."""
import inspect
import logging
from typing import Any, Dict, Iterator

from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmengine.utils import is_abs

from sam3d_plugin.store.files import join
from sam3d_plugin.store.posed_images import PosedImages


def all_steps(steps: Any) -> Iterator[Any]:
    """Steps of a pipeline, also those inside others.

    Args:
        steps (Any): Steps, or lists of steps; either configs or built.

    Yields:
        Any: Each step before those inside it.
    """
    for step in steps:
        if isinstance(step, (list, tuple)):
            yield from all_steps(step)
            continue
        yield step
        inner = step.get('transforms',
                         ()) if isinstance(step, dict) else getattr(
                             step, 'transforms', ())
        yield from all_steps(getattr(inner, 'transforms', inner))


class Step(BaseTransform):
    """A step that is shown with its arguments."""

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        shown = (f'{name}={getattr(self, name)!r}' for name in names
                 if hasattr(self, name))
        return f'{type(self).__name__}({", ".join(shown)})'

    def skip(self, reason: str) -> None:
        """Name a sample that the dataset has to replace, and why."""
        print_log(
            f'{reason}: another sample takes its place',
            logger='current',
            level=logging.WARNING)


class FrameStep(Step):
    """A step that reads ``posed_images``; each folder is opened once.

    Args:
        folder (str): Folder of the frames.
        backend_args (dict): Arguments of the file backend; None for disks.
    """

    def __init__(self, folder: str, backend_args: dict = None) -> None:
        self.folder = folder
        self.backend_args = backend_args
        self._images: Dict[str, PosedImages] = {}

    def open_images(self, results: dict) -> PosedImages:
        """The frames of a sample's data set."""
        root = data_folder(results, self.folder)
        if root not in self._images:
            self._images[root] = PosedImages(root, self.backend_args)
        return self._images[root]


def data_folder(results: dict, folder: str) -> str:
    """Path of a folder, absolute or relative to ``data_root``."""
    root = results.get('data_root', '')
    return folder if is_abs(folder) or not root else join(root, folder)
