"""What a store holds, and how it was made.

    store.json            format version, kind, settings; written once
    records/<scan>.json   status, files and numbers of every item of a scan,
                          written when the scan is complete
    manifest.json         the two together, merged when a run ends

A scan has one writer, and merging reads whole records only, so that 1,500
scans of many processes merge without a lock. Nothing in here is an absolute
path.
"""
import json
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Dict, List, Optional, Tuple

from .atomic import remove_drafts
from .errors import StoreError
from .files import (BackendArgs, PathLike, checksum, exists, is_local, join,
                    list_names, read_bytes, size_of, write_bytes, write_new)

FORMAT_VERSION = 1
# Seconds after which no other process can still be writing a small file.
_OLD = 3600.0
HEADER, RECORDS, MANIFEST = 'store.json', 'records', 'manifest.json'

# Size in bytes and checksum of a file.
FileMark = Tuple[int, str]


@dataclass
class ItemRecord:
    """What became of one item.

    Args:
        status (str): ``'ok'`` or ``'skipped'``.
        reason (str): Why it was skipped.
        files (dict): :data:`FileMark` of its files, by relative path.
        fields (dict): Numbers of the step, e.g. ``regions``.
    """
    status: str
    reason: str = ''
    files: Dict[str, FileMark] = field(default_factory=dict)
    fields: Dict[str, Any] = field(default_factory=dict)


@dataclass
class ScanRecord:
    """What became of one scan.

    Args:
        scan (str): Its name.
        items (dict): Records of its items, by name.
        files (dict): :data:`FileMark` of the scan's own files.
        reason (str): Why the whole scan was skipped; empty if it was not.
    """
    scan: str
    items: Dict[str, ItemRecord] = field(default_factory=dict)
    files: Dict[str, FileMark] = field(default_factory=dict)
    reason: str = ''

    @property
    def whole(self) -> Dict[str, ItemRecord]:
        """The items that were made, by name."""
        return {n: r for n, r in self.items.items() if r.status == 'ok'}


def mark_of(content: bytes) -> FileMark:
    """Size and checksum of a file's content."""
    return len(content), checksum(content)


def is_made_of(fields: Dict[str, Any], mark: str) -> bool:
    """Whether a product belongs to an input, as far as both are known.

    Args:
        fields (Dict[str, Any]): Of its record; ``source`` is the input's
            mark at the time.
        mark (str): Of the input now; empty if it has no record.

    Returns:
        bool: False if the input is another one now.
    """
    return not mark or fields.get('source', mark) in ('', mark)


def _encode(value: Dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) +
            '\n').encode()


def _decode(content: bytes, path: str) -> Dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise StoreError(f'{path} is damaged ({error}); remove it and run '
                         'the step again') from error
    if not isinstance(value, dict):
        raise StoreError(f'{path} holds no record; remove it and run the '
                         'step again')
    return value


def _record_from(value: Dict[str, Any], path: str) -> ScanRecord:
    """A record from its JSON, in which marks are lists."""

    def marks(files: Dict[str, List]) -> Dict[str, FileMark]:
        return {name: (int(s), str(c)) for name, (s, c) in files.items()}

    try:
        items = {
            name:
            ItemRecord(item['status'], item['reason'], marks(item['files']),
                       item['fields'])
            for name, item in value['items'].items()
        }
        return ScanRecord(value['scan'], items, marks(value['files']),
                          value['reason'])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f'{path} is no record of a scan ({error!r}); remove '
                         'it and run the step again') from error


def differences(old: Dict[str, Any],
                new: Dict[str, Any],
                prefix: str = '') -> List[str]:
    """Say where two settings differ.

    Args:
        old (Dict[str, Any]): Of the store.
        new (Dict[str, Any]): Of the run.
        prefix (str): Name of the level above.

    Returns:
        List[str]: ``name old, now new`` for every value that differs.
    """
    found = []
    for key in sorted({*old, *new}):
        mine, theirs = old.get(key), new.get(key)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            found += differences(mine, theirs, f'{prefix}{key}.')
        elif mine != theirs:
            found.append(f'{prefix}{key} {mine!r}, now {theirs!r}')
    return found


class Store:
    """The bookkeeping of one folder.

    Args:
        root (PathLike): The folder, local or remote.
        backend_args (BackendArgs): Arguments of the file backend.
    """

    def __init__(self,
                 root: PathLike,
                 backend_args: BackendArgs = None) -> None:
        self.root = str(root)
        self.backend_args = backend_args

    def path(self, *names: str) -> str:
        """Path of something in the store."""
        return join(self.root, *names)

    def read(self, name: str) -> bytes:
        """Content of a file, by relative path."""
        return read_bytes(self.path(name), self.backend_args)

    def write(self,
              files: Dict[str, bytes],
              sync: bool = False) -> Dict[str, FileMark]:
        """Write files in the order given.

        A file that is there with the same content stays: a run may have been
        killed between writing it and recording it.

        Args:
            files (Dict[str, bytes]): Content by relative path.
            sync (bool): See :func:`atomic_write`.

        Returns:
            Dict[str, FileMark]: For a record.
        """
        for name, content in files.items():
            if not self._holds(name, content):
                write_bytes(self.path(name), content, self.backend_args, sync)
        return {name: mark_of(content) for name, content in files.items()}

    def _holds(self, name: str, content: bytes) -> bool:
        """Whether a file is there with this content."""
        size = size_of(self.path(name), self.backend_args)
        return size == len(content) and self.read(name) == content

    def is_there(self, files: Dict[str, FileMark]) -> bool:
        """Whether all files exist with the size that a record tells."""
        return all(
            size_of(self.path(name), self.backend_args) == size
            for name, (size, _) in files.items())

    def exists(self) -> bool:
        """Whether the folder is a store."""
        return exists(self.path(HEADER), self.backend_args)

    def header(self) -> Dict[str, Any]:
        """``format_version``, ``kind`` and ``settings``.

        Returns:
            Dict[str, Any]: Content of store.json.

        Raises:
            StoreError: When there is none, or of another version.
        """
        path = self.path(HEADER)
        if not self.exists():
            raise StoreError(f'{path} is missing: {self.root} is no store; '
                             'run the step that makes it')
        header = _decode(self.read(HEADER), path)
        if header.get('format_version') != FORMAT_VERSION:
            raise StoreError(
                f'{path}: format version {header.get("format_version")}, but '
                f'this version of sam3d_plugin reads {FORMAT_VERSION}; '
                'prepare the data again')
        return header

    def open(self, kind: str, settings: Dict[str, Any]) -> None:
        """Start the store, or make sure that it was made in the same way.

        Args:
            kind (str): What it holds, e.g. ``'region_maps'``.
            settings (Dict[str, Any]): What its content depends on.

        Raises:
            StoreError: When the store is of another kind or settings.
        """
        header = json.loads(
            _encode(
                dict(
                    format_version=FORMAT_VERSION,
                    kind=kind,
                    settings=settings)))
        if is_local(self.root, self.backend_args):
            remove_drafts([self.path(HEADER), self.path(MANIFEST)], _OLD)
        if not self.exists() and self.recorded_scans():
            self._refuse_others(self._header_of_manifest(), header)
        if not write_new(
                self.path(HEADER), _encode(header), self.backend_args):
            self._refuse_others(self.header(), header)

    def _refuse_others(self, old: Dict[str, Any], new: Dict[str, Any]) -> None:
        found = differences(old, new)
        if found:
            raise StoreError(
                f'{self.root} was made with other settings: '
                f'{"; ".join(found[:5])}. Use the old ones, or choose '
                'another --out')

    def _header_of_manifest(self) -> Dict[str, Any]:
        """The header as the manifest repeats it."""
        path = self.path(MANIFEST)
        if exists(path, self.backend_args):
            try:
                header = _decode(self.read(MANIFEST), path)
                header.pop('scans', None)
                return header
            except StoreError:
                pass  # it can be merged again, but tells nothing now
        # Only a run that writes its first record may have been faster.
        if self.exists():
            return self.header()
        raise StoreError(
            f'{self.root} has records but no {HEADER}, so it was copied by '
            'half and nobody knows its settings; copy it again, or remove it '
            'and make it anew')

    def record(self, scan: str) -> Optional[ScanRecord]:
        """The record of a scan.

        Args:
            scan (str): Name of the scan.

        Returns:
            Optional[ScanRecord]: None while the scan is not complete.

        Raises:
            StoreError: When the record is damaged.
        """
        name = f'{RECORDS}/{scan}.json'
        if not exists(self.path(name), self.backend_args):
            return None
        path = self.path(name)
        return _record_from(_decode(self.read(name), path), path)

    def write_record(self, record: ScanRecord) -> None:
        """Say that a scan is complete."""
        self.write({f'{RECORDS}/{record.scan}.json': _encode(asdict(record))},
                   sync=True)

    def recorded_scans(self) -> List[str]:
        """Names of the scans that are complete, sorted."""
        names = list_names(self.path(RECORDS), self.backend_args, '.json')
        return [PurePosixPath(name).stem for name in names]

    def manifest(self) -> Dict[str, ScanRecord]:
        """The merged records, by scan.

        Returns:
            Dict[str, ScanRecord]: Of manifest.json.

        Raises:
            StoreError: When it is missing or damaged.
        """
        path = self.path(MANIFEST)
        if not exists(path, self.backend_args):
            raise StoreError(f'{path} is missing; run the step to its end')
        scans = _decode(self.read(MANIFEST), path).get('scans', {})
        return {name: _record_from(scans[name], path) for name in scans}

    def merge(self) -> Dict[str, ScanRecord]:
        """Merge all records into manifest.json.

        Two processes may do so at once: whoever writes last looks again
        whether a record has come meanwhile, so that none is lost.

        Returns:
            Dict[str, ScanRecord]: By scan.
        """
        while True:
            names = self.recorded_scans()
            contents = {n: self.read(f'{RECORDS}/{n}.json') for n in names}
            values = {
                n: _decode(c, self.path(RECORDS, f'{n}.json'))
                for n, c in contents.items()
            }
            manifest = dict(self.header(), scans=values)
            self.write({MANIFEST: _encode(manifest)}, sync=True)
            again = self.recorded_scans()
            if again == names and all(
                    contents[n] == self.read(f'{RECORDS}/{n}.json')
                    for n in again):
                return {
                    n: _record_from(v, self.path(RECORDS, f'{n}.json'))
                    for n, v in values.items()
                }
