"""Splits of scans.

A split is a list of scan names; its infos are ``scannet_infos_<split>.pkl``.
"""
import re
from collections import Counter
from typing import Collection, Dict, List, Optional, Sequence

from ....store.errors import StoreError
from ....store.files import BackendArgs, PathLike, read_bytes
from ....store.foreign_files import decode_text
from .scan import ScanError
from .source_files import brief

Splits = Dict[str, List[str]]


def read_list(path: PathLike, backend_args: BackendArgs = None) -> List[str]:
    """Names of scans from a text file, one in a line.

    StoreError when it is missing, empty or names a scan twice.

    Raises ScanError when it cannot be read or names no scan.
    """
    try:
        content = read_bytes(path, backend_args)
        names = decode_text(content, 'strict').split()
    except (OSError, ValueError) as error:
        raise StoreError(f'{path} cannot be read ({brief(error)}); give a '
                         'text file with one scan name in a line') from error
    if not names:
        raise StoreError(f'{path} names no scan; write one name in a line')
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise StoreError(f'{path} names {repeated[0]} twice; remove one')
    return names


def parse_split(text: str) -> Splits:
    """Read ``NAME=scan1,scan2`` or ``NAME=@FILE``.

    Raises ScanError when it has another form.
    """
    name, _, value = text.partition('=')
    if not re.fullmatch(r'\w+', name) or not value:
        raise ScanError(f'--split {text}: write NAME=scan1,scan2 or '
                        'NAME=@FILE')
    if value.startswith('@'):
        return {name: read_list(value[1:])}
    return {name: [scan for scan in value.split(',') if scan]}


def make_splits(scans: Collection[str],
                given: Sequence[Splits],
                notes: Optional[List[str]] = None) -> Splits:
    """Complete and check the splits of an import.

    By default every scan is in train and val. A missing train or val is all
    scans that no other split has. ``notes`` gets what was decided here.
    ScanError when a name is unknown or repeated, or nothing is left for a
    missing split.
    """
    notes = [] if notes is None else notes
    splits: Splits = {}
    for split in given:
        for name, members in split.items():
            if name in splits:
                raise ScanError(f'split {name} is given twice; give it once')
            _check_members(name, members, scans)
            splits[name] = members
    if not splits:
        notes.append(f'no lists given: {len(scans)} scans are in train and '
                     'in val, so AP will not tell about other rooms')
        return {'train': list(scans), 'val': list(scans)}
    used = {scan for members in splits.values() for scan in members}
    for name in {'train', 'val'} - set(splits):
        splits[name] = [scan for scan in scans if scan not in used]
        if not splits[name]:
            raise ScanError(f'no scan is left for {name}; name its scans '
                            f'with --{name}, or move some out of the others')
        notes.append(f'{name}: the {len(splits[name])} scans that no list '
                     'names')
    left = len(set(scans) - {s for m in splits.values() for s in m})
    if left:
        notes.append(f'{left} scans are in no list and are not imported')
    names = sorted(splits, key=lambda name: (name != 'train', name != 'val'))
    return {name: splits[name] for name in names}


def _check_members(name: str, members: List[str],
                   scans: Collection[str]) -> None:
    unknown = [member for member in members if member not in scans]
    if unknown:
        raise ScanError(
            f'split {name} names {unknown[0]}, which is not among the scans '
            f'({", ".join(list(scans)[:5])}{" ..." * (len(scans) > 5)})')
    repeated = [scan for scan, n in Counter(members).items() if n > 1]
    if repeated or not members:
        raise ScanError(f'split {name} names {repeated[0]} twice'
                        if repeated else f'split {name} names no scan')
