"""Image features of 2D regions, by scan and frame.

    region_features/<scan>.safetensors    mean (sum R, C) float16
                                          max (sum R, C) float16
                                          areas (sum R,) int32, pixels

Row i of a frame belongs to region i + 1 of its id map. Shapes: R
regions, C channels.
"""
from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping

import numpy as np

from .errors import FrameError, StoreError
from .files import BackendArgs, PathLike
from .frame_rows import FrameRows, pack_frames, unpack_frames

KIND = 'region_features'
_COLUMNS = ('mean', 'max', 'areas')
# Encoders whose features are in the space of text with text_space alone.
_ENCODERS = ('timm', 'transformers', 'standin', 'handcrafted')
NO_TEXT_SPACE = ' without text_space'


@dataclass(frozen=True)
class RegionFeatureArrays:
    """Features of the regions of one frame."""
    mean: np.ndarray  # (R, C) float16, mean over the region's pixels
    max: np.ndarray  # (R, C) float16, channel-wise maximum over them
    areas: np.ndarray  # (R,) int32, pixels


def to_feature_arrays(mean: np.ndarray, max: np.ndarray, areas: np.ndarray,
                      name: str) -> RegionFeatureArrays:
    """Round features to how they are stored, if they can be.

    (R, C) float16, twice, and (R,) int32 pixels. FrameError when a value is
    not finite in float16.
    """
    with np.errstate(over='ignore'):
        arrays = RegionFeatureArrays(
            mean.astype(np.float16), max.astype(np.float16),
            areas.astype(np.int32))
    for column, values in (('mean', mean), ('max', max)):
        if not np.isfinite(getattr(arrays, column)).all():
            what = ('over 65,504, which float16 cannot hold'
                    if np.isfinite(values).all() else 'NaN or infinite')
            raise FrameError(f'{name}: a {column} feature is {what}')
    return arrays


def model_of(settings: Mapping[str, Any]) -> str:
    """Name of the image model of a store's settings.

    That of timm or transformers, or the encoder's own name;
    ``NO_TEXT_SPACE`` or ``' with random weights'`` follow where they hold.
    Weights of one name are taken for the same: the hash of their file is not
    compared.
    """
    encoder = settings.get('encoder', '')
    options = settings.get('options') or {}
    name = encoder
    if encoder in ('timm', 'transformers'):
        name = options.get('model', encoder)
    if encoder in _ENCODERS and not options.get('text_space'):
        name += NO_TEXT_SPACE
    if 'random_weights_seed' in options:
        name += ' with random weights'
    return name


def pack_features(frames: Mapping[str, RegionFeatureArrays]) -> bytes:
    """A scan's file; one frame makes a part of it.

    At least one frame.
    """
    return pack_frames({f: asdict(arrays) for f, arrays in frames.items()})


def unpack_features(content: bytes,
                    name: str) -> Dict[str, RegionFeatureArrays]:
    """The inverse of :func:`pack_features`.

    StoreError when it is damaged or something else.
    """
    frames = unpack_frames(content, name, _COLUMNS)
    for columns in frames.values():
        if (columns['mean'].ndim != 2
                or columns['mean'].shape != columns['max'].shape):
            raise StoreError(f'{name}: mean and max features are not two '
                             'matrices of one shape; extract them again')
    return {f: RegionFeatureArrays(**columns) for f, columns in frames.items()}


class RegionFeatures(FrameRows):
    """Reads the features of regions by slice.

    Args:
        root (PathLike): The folder ``region_features``, local or remote.
        backend_args (BackendArgs): Arguments of the file backend.
        max_open (int): Scans kept open, the last ones read.
    """

    def __init__(self,
                 root: PathLike,
                 backend_args: BackendArgs = None,
                 max_open: int = 16) -> None:
        super().__init__(root, _COLUMNS,
                         'tools/preparation/extract_features.py', backend_args,
                         max_open)

    def read(  # type: ignore[override]
            self, scan: str, frame: str) -> RegionFeatureArrays:
        """Features of the regions of a frame; see :meth:`FrameRows.read`.

        Row i belongs to region i + 1.

        Raises FileNotFoundError when the scan has no features.
        Raises StoreError when the file is damaged or lacks the frame.
        """
        return RegionFeatureArrays(**super().read(scan, frame))
