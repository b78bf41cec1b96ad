"""Layout of ScanNet's files, and its splits."""
from contextlib import contextmanager
from typing import Collection, Dict, Iterator, Mapping, Optional, Sequence

from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, PathLike, exists, join, list_names
from ..scans.splits import Splits, read_list

# Scans of ScanNet v2's splits.
OFFICIAL_TOTALS = {'train': 1201, 'val': 312, 'test': 100}
# Splits whose annotations are not published.
WITHOUT_ANNOTATIONS = ('test', )

_RELEASE_FOLDERS = ('scans', 'scans_test')


def source_backend_args(path: Optional[PathLike],
                        backend_args: BackendArgs) -> BackendArgs:
    """Arguments of a path's backend; None for local paths."""
    return backend_args if '://' in str(path) else None


@contextmanager
def relative_names(source: PathLike) -> Iterator[None]:
    """Name files relative to the source in FrameErrors of the block.

    Records keep the errors, and hold no absolute path.
    """
    try:
        yield
    except FrameError as error:
        raise FrameError(str(error).replace(join(source, ''), '')) from error


def find_folders(source: PathLike,
                 backend_args: BackendArgs = None) -> Dict[str, str]:
    """Folders of the scans of a release by name, sorted.

    ``source`` has ``scans/`` or ``scans_test/`` or both, or holds the scan
    folders itself. StoreError when there is none, or two of one name.
    """
    names = list_names(source, backend_args, folders=True)
    parents = [
        join(source, name) for name in _RELEASE_FOLDERS if name in names
    ] or [str(source)]
    folders: Dict[str, str] = {}
    for parent in parents:
        for name in list_names(parent, backend_args, folders=True):
            if name in folders:
                raise StoreError(f'{folders[name]} and {join(parent, name)} '
                                 'are one scan twice; remove one')
            folders[name] = join(parent, name)
    if not folders:
        raise StoreError(
            f'{source} holds no scan folder; give the folder of the release '
            'with scans/scene0000_00/, scans/scene0000_01/, ...')
    return dict(sorted(folders.items()))


def find_lists(folder: Optional[PathLike],
               given: Mapping[str, PathLike],
               wanted: Optional[Sequence[str]] = None,
               backend_args: BackendArgs = None) -> Dict[str, PathLike]:
    """The list file of each wanted split (None: of all that have one).

    Files are ``given``, or ``scannetv2_<split>.txt`` in the folder. StoreError
    when a wanted split has no list, or none has.
    """
    files: Dict[str, PathLike] = {}
    for split in OFFICIAL_TOTALS if wanted is None else wanted:
        if split in given:
            files[split] = given[split]
        elif folder is not None:
            path = join(folder, f'scannetv2_{split}.txt')
            if exists(path, backend_args):
                files[split] = path
        if wanted is not None and split not in files:
            raise StoreError(f'{folder or "no folder"} has no scannetv2_'
                             f'{split}.txt; give it as --{split}-list')
    if not files:
        raise StoreError('there is no list of scans; give the folder of '
                         'scannetv2_train.txt as --lists')
    return files


def read_splits(files: Mapping[str, PathLike],
                backend_args: BackendArgs = None) -> Splits:
    """Scan names of each split; StoreError when two share a scan."""
    splits: Splits = {}
    owner: Dict[str, str] = {}
    for split, path in files.items():
        splits[split] = read_list(path,
                                  source_backend_args(path, backend_args))
        for scan in splits[split]:
            if scan in owner:
                raise StoreError(f'{scan} is in the lists of {owner[scan]} '
                                 f'and {split}; remove it from one')
            owner[scan] = split
    return splits


def select_splits(splits: Splits,
                  folders: Collection[str],
                  source: PathLike,
                  is_partial: bool = False) -> Splits:
    """The scans of each split that are in the folders of the source.

    StoreError when a list is not ScanNet v2's or a scan is missing, unless
    ``is_partial``, and when nothing is left.
    """
    found = {}
    for split, scans in splits.items():
        found[split] = [scan for scan in scans if scan in folders]
        missing = [scan for scan in scans if scan not in folders]
        total = OFFICIAL_TOTALS.get(split, len(scans))
        if not is_partial and len(scans) != total:
            raise StoreError(
                f'the list of {split} has {len(scans):,} scans, but ScanNet '
                f'v2 has {total:,}; use the scannetv2_{split}.txt of the '
                'release, or add --partial to prepare a part')
        if not is_partial and missing:
            raise StoreError(
                f'{source} lacks {len(missing):,} of the {len(scans):,} scans '
                f'of {split}, the first is {missing[0]}; download them, leave '
                'the split out with --splits, or add --partial')
    found = {split: scans for split, scans in found.items() if scans}
    if not found:
        raise StoreError(f'{source} holds none of the scans that the lists '
                         'name; check --source')
    return found
