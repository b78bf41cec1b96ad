"""Finds out which form of SUN RGB-D a folder holds."""
from typing import Optional

from ....store.errors import StoreError
from ....store.files import BackendArgs, PathLike, exists, join
from .official import BOXES_3D, OfficialSource
from .scan import VERSIONS, SunSource
from .trainval import TrainvalSource

#: What ``--form`` takes, and the folder that mmdet3d's layout calls it.
FORMS = {'trainval': 'sunrgbd_trainval', 'official': 'OFFICIAL_SUNRGBD'}

# A file or folder by which each is known.
_SIGNS = {'trainval': 'depth', 'official': BOXES_3D}


def open_source(root: PathLike,
                form: str = 'auto',
                with_v1: bool = True,
                partial: bool = False,
                backend_args: BackendArgs = None) -> SunSource:
    """The source in a folder of either form, or in one that holds it.

    ``form`` is ``'auto'`` or one of ``FORMS``; when both are there, it is
    ``sunrgbd_trainval``. StoreError when there is none.
    """
    versions = VERSIONS if with_v1 else VERSIONS[:1]
    for name in FORMS if form == 'auto' else [form]:
        folder = _find(str(root), name, backend_args)
        if folder is None:
            continue
        if name == 'trainval':
            return TrainvalSource(folder, versions, backend_args)
        return OfficialSource(folder, versions, partial, backend_args)
    wanted = ' nor '.join(f'{_SIGNS[name]} (form {name})'
                          for name in (FORMS if form == 'auto' else [form]))
    raise StoreError(f'{root} holds no {wanted}; give the folder of the '
                     'unzipped release, or sunrgbd_trainval')


def _find(root: str, form: str, backend_args: BackendArgs) -> Optional[str]:
    for folder in (root, join(root, FORMS[form])):
        if exists(join(folder, _SIGNS[form]), backend_args):
            return folder
    return None
