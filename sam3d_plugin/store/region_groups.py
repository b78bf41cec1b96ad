"""Groups of regions, and the weights that balance them.

    region_groups/<set>/groups.safetensors    centroids (K, C) float32
                                              counts (K,) int64
                                              weights (K,) float64
                        <scan>.safetensors    group_ids (sum R,) int32

Entry i of a frame belongs to region i + 1 of its id map. Shapes: R
regions, C channels; K groups.
"""
from dataclasses import asdict, dataclass
from typing import List, Mapping

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from .errors import StoreError, UserError
from .files import BackendArgs, PathLike, join, read_bytes
from .frame_rows import FrameRows, pack_frames

KIND = 'region_groups'
GROUPS = 'groups'
GROUPS_FILE = f'{GROUPS}.safetensors'
NORMALIZATIONS = ('paper', 'mean_one')
GROUP_IDS = 'group_ids'


def balanced_weights(counts: np.ndarray,
                     normalize: str = 'paper') -> np.ndarray:
    """Weights of groups, larger for rarer ones.

    See docs/method.md, "Group weights".

    With n_i regions in group i: k_i = (n_i - n_min) / n_max, tau_i = 1 - k_i
    and w_i = tau_i / sum_j tau_j, where n_min and the sum run over the groups
    that are not empty.

    Args:
        counts (np.ndarray): (K,) regions in each group.
        normalize (str): ``'paper'``, the weights sum to 1 over groups, or
            ``'mean_one'``, their mean over all regions is 1.

    Returns:
        np.ndarray: (K,) float64; 0 for an empty group.

    Raises:
        ValueError: When a count is negative, all are 0, or ``normalize`` is
            unknown.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if normalize not in NORMALIZATIONS:
        raise UserError(f'normalize {normalize!r} is unknown; choose one of '
                        f'{", ".join(NORMALIZATIONS)}')
    if counts.ndim != 1 or (counts < 0).any() or not counts.any():
        raise UserError('counts of groups must be numbers >= 0, one of them '
                        'above 0')
    is_used = counts > 0
    tau = 1 - (counts - counts[is_used].min()) / counts.max()
    weights = np.where(is_used, tau, 0)
    weights /= weights.sum()
    if normalize == 'mean_one':
        weights *= counts.sum() / (counts * weights).sum()
    return weights


@dataclass(frozen=True)
class Groups:
    """The groups of a training set's regions."""
    centroids: np.ndarray  # (K, C) float32 in feature space
    counts: np.ndarray  # (K,) int64, the set's regions in each group
    weights: np.ndarray  # (K,) float64, see :func:`balanced_weights`


def encode_groups(groups: Groups) -> bytes:
    """The file groups.safetensors."""
    return save(asdict(groups))


def decode_groups(content: bytes, name: str) -> Groups:
    """The inverse of :func:`encode_groups`.

    StoreError when it is damaged or something else.
    """
    try:
        groups = Groups(**load(content))
    except (SafetensorError, TypeError, ValueError) as error:
        raise StoreError(
            f'{name} is not a file of groups ({error}); remove it and run '
            'tools/preparation/build_groups.py again') from error
    if (groups.centroids.ndim != 2 or not len(groups.centroids) == len(
            groups.counts) == len(groups.weights)):
        raise StoreError(f'{name}: centroids, counts and weights disagree; '
                         'remove it and run tools/preparation/'
                         'build_groups.py again')
    return groups


def pack_group_ids(frames: Mapping[str, np.ndarray]) -> bytes:
    """A scan's file.

    From (R,) groups by frame, at least one.
    """
    return pack_frames({
        frame: {
            GROUP_IDS: ids.astype(np.int32)
        }
        for frame, ids in frames.items()
    })


class RegionGroups(FrameRows):
    """Reads groups and the group of every region.

    Args:
        root (PathLike): The folder ``region_groups/<set>``, local or remote.
        backend_args (BackendArgs): Arguments of the file backend.
    """

    def __init__(self,
                 root: PathLike,
                 backend_args: BackendArgs = None) -> None:
        super().__init__(root, (GROUP_IDS, ),
                         'tools/preparation/build_groups.py', backend_args)

    def groups(self) -> Groups:
        """Centroids, counts and weights.

        FileNotFoundError when they are missing, StoreError when the file is
        damaged.
        """
        path = join(self.root, GROUPS_FILE)
        try:
            content = read_bytes(path, self.backend_args)
        except FileNotFoundError:
            raise FileNotFoundError(
                f'{path} is missing; run tools/preparation/build_groups.py '
                'first') from None
        return decode_groups(content, path)

    def scans(self) -> List[str]:
        """Sorted names of the scans whose regions have groups."""
        return [scan for scan in super().scans() if scan != GROUPS]

    def read(  # type: ignore[override]
            self, scan: str, frame: str) -> np.ndarray:
        """Groups of the regions of a frame; see :meth:`FrameRows.read`.

        (R,) int32, entry i for region i + 1.

        Raises FileNotFoundError when the scan's file is missing.
        Raises StoreError when it is damaged or lacks the frame.
        """
        return super().read(scan, frame)[GROUP_IDS]
