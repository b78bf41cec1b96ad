"""Which scans a set of region groups is of."""
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from typing import List, Optional

import mmengine

from ...store.errors import StoreError
from ...store.files import BackendArgs
from ..sources.scans.scan import ScanError
from ..sources.scans.splits import read_list


def select_scans(names: Optional[Path],
                 infos: Optional[str],
                 backend_args: BackendArgs = None) -> Optional[List[str]]:
    """Names of the scans of a set; None is all.

    Args:
        names (Optional[Path]): Text file with one name in a line.
        infos (Optional[str]): Or an annotation file of mmdet3d.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        Optional[List[str]]: The names.

    Raises:
        StoreError: When the file that names them cannot be read.
    """
    if names:
        try:
            return read_list(names)
        except ScanError as error:
            raise StoreError(str(error)) from error
    if not infos:
        return None
    try:
        entries = mmengine.load(infos, backend_args=backend_args)['data_list']
        paths = [entry['lidar_points']['lidar_path'] for entry in entries]
    except (OSError, EOFError, AttributeError, ImportError, KeyError,
            TypeError, ValueError, UnpicklingError) as error:
        raise StoreError(f'{infos} cannot be read ({error!r}); give an '
                         'annotation file of mmdet3d 1.x') from error
    return [PurePosixPath(path).stem for path in paths]
