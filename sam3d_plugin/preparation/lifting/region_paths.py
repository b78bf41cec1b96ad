"""Naming the region files of scans in mmdet3d's infos."""
import pickle
from typing import Dict, List, Set, Tuple

from ...store.files import BackendArgs, PathLike, join, list_names, write_bytes
from ..sources.scans.infos import read_infos


def name_region_files(infos_path: PathLike,
                      folder: PathLike,
                      backend_args: BackendArgs = None) -> Tuple[int, int]:
    """Add ``pts_region_path`` to the scans that have a region file.

    Scans without one keep what they have. The infos are replaced at once or
    not at all, and stay untouched when nothing changes. Returns the numbers
    of scans with a region file and of all.

    Raises StoreError when the infos have another form.
    """
    while True:
        names = set(list_names(folder, backend_args, suffix='.npz'))
        result = _name_files(infos_path, names, backend_args)
        # Another shard may have written its infos in between: look again.
        if names == set(list_names(folder, backend_args, suffix='.npz')):
            return result


def _name_files(infos_path: PathLike, names: Set[str],
                backend_args: BackendArgs) -> Tuple[int, int]:
    infos, scans = read_infos(infos_path, backend_args)
    found, is_changed = 0, False
    for info, scan in zip(infos['data_list'], scans):
        name = f'{scan}.npz'
        if name in names:
            found += 1
            is_changed |= info.get('pts_region_path') != name
            info['pts_region_path'] = name
    if is_changed:
        write_bytes(infos_path, pickle.dumps(infos), backend_args)
    return found, len(scans)


def read_offsets(data: PathLike,
                 backend_args: BackendArgs = None) -> Dict[str, List[float]]:
    """Offsets (3 meters) subtracted from the points of scans far from the
    origin, of those scans that were moved.

    Raises StoreError when infos have another form.
    """
    offsets = {}
    for file in list_names(data, backend_args, suffix='.pkl'):
        if '_infos_' not in file:
            continue
        infos, scans = read_infos(join(data, file), backend_args)
        for info, scan in zip(infos['data_list'], scans):
            if 'offset' in info:
                offsets[scan] = info['offset']
    return offsets


def name_all_region_files(
        data: PathLike,
        folder: PathLike,
        backend_args: BackendArgs = None) -> Dict[str, Tuple[int, int]]:
    """Numbers of :func:`name_region_files` for all infos of a data set."""
    files = list_names(data, backend_args, suffix='.pkl')
    return {
        file: name_region_files(join(data, file), folder, backend_args)
        for file in files if '_infos_' in file
    }
