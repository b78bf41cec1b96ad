"""Contents and settings of a store.

    store.json             format version, kind, settings; written once
    records/<scan>.jsonl   journal of a scan that a run is changing: a line
                           for each item, appended once its files are there
    records/<scan>.json    record of a complete scan: status, files and
                           numbers of every item
    manifest.json          all records together, merged when a run ends

A journal is opened before any file of the scan changes, which removes the
record and the manifest that name the old files; closing it writes the record.
A scan has one writer, and merging reads complete records only, so that 1,500
scans of many processes merge without a lock. Nothing in here is an absolute
path.
"""
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any, Dict, List, Optional

from .atomic import remove_drafts
from .errors import FrameError, OtherSettingsError, StoreError
from .files import (BackendArgs, PathLike, append_bytes, exists, is_local,
                    join, list_names, read_bytes, remove, size_of, write_bytes,
                    write_new)
from .records import (FileChecksum, ItemRecord, ScanRecord, decode_journal,
                      decode_json, encode_json, encode_line, file_checksum,
                      record_from)

FORMAT_VERSION = 1
# Seconds after which no other process can still be writing a small file.
_OLD = 3600.0
HEADER, RECORDS, MANIFEST = 'store.json', 'records', 'manifest.json'


def differences(old: Dict[str, Any],
                new: Dict[str, Any],
                prefix: str = '') -> List[str]:
    """Describe the differences of two settings.

    Returns ``name old, now new`` for every value that differs.
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
              sync: bool = False) -> Dict[str, FileChecksum]:
        """Write files in the order given.

        A file that is there with the same content stays: a run may have been
        killed between writing it and recording it.
        """
        for name, content in files.items():
            if not self._holds(name, content):
                write_bytes(self.path(name), content, self.backend_args, sync)
        return {
            name: file_checksum(content)
            for name, content in files.items()
        }

    def _holds(self, name: str, content: bytes) -> bool:
        """Whether a file is there with this content."""
        size = size_of(self.path(name), self.backend_args)
        return size == len(content) and self.read(name) == content

    def is_there(self, files: Dict[str, FileChecksum]) -> bool:
        """Whether all files exist with the size that a record tells."""
        return all(
            size_of(self.path(name), self.backend_args) == size
            for name, (size, _) in files.items())

    def exists(self) -> bool:
        """Whether the folder is a store."""
        return exists(self.path(HEADER), self.backend_args)

    def header(self) -> Dict[str, Any]:
        """``format_version``, ``kind`` and ``settings``.

        StoreError when store.json is missing or of another version.
        """
        path = self.path(HEADER)
        if not self.exists():
            raise StoreError(f'{path} is missing: {self.root} is not a store; '
                             'run the step that makes it')
        header = decode_json(self.read(HEADER), path)
        if header.get('format_version') != FORMAT_VERSION:
            raise StoreError(
                f'{path}: format version {header.get("format_version")}, but '
                f'this version of sam3d_plugin reads {FORMAT_VERSION}; '
                'prepare the data again')
        return header

    def open(self, kind: str, settings: Dict[str, Any]) -> None:
        """Start the store, or make sure that it was made in the same way.

        StoreError when the store is of another kind or settings.
        """
        header = json.loads(
            encode_json(
                dict(
                    format_version=FORMAT_VERSION,
                    kind=kind,
                    settings=settings)))
        if is_local(self.root, self.backend_args):
            remove_drafts([self.path(HEADER), self.path(MANIFEST)], _OLD)
        # Looked at in this order, since another shard may start the store.
        if self.recorded_scans() and not self.exists():
            raise StoreError(f'{self.root} is incomplete: {HEADER} is missing;'
                             ' copy it again, or remove the folder and run '
                             'the step again')
        if not write_new(
                self.path(HEADER), encode_json(header), self.backend_args):
            self._refuse_others(self.header(), header)

    def _refuse_others(self, old: Dict[str, Any], new: Dict[str, Any]) -> None:
        found = differences(old, new)
        if found:
            raise OtherSettingsError(self.root, found)

    def record(self, scan: str) -> Optional[ScanRecord]:
        """The record of a scan.

        None while the scan is not complete. StoreError when the record is
        damaged.
        """
        name = f'{RECORDS}/{scan}.json'
        if not exists(self.path(name), self.backend_args):
            return None
        path = self.path(name)
        return record_from(decode_json(self.read(name), path), path)

    def write_record(self, record: ScanRecord) -> None:
        """Mark a scan as complete."""
        self.write(
            {f'{RECORDS}/{record.scan}.json': encode_json(asdict(record))},
            sync=True)

    def journal(self, scan: str) -> Optional[ScanRecord]:
        """Items of a scan that a run has finished.

        None when no run is changing the scan or was stopped while it did.
        StoreError when the journal is damaged.
        """
        path = self._journal_path(scan)
        if not self.has_journal(scan):
            return None
        return decode_journal(read_bytes(path, self.backend_args), path)

    def has_journal(self, scan: str) -> bool:
        """Whether there is a journal of a scan."""
        return exists(self._journal_path(scan), self.backend_args)

    def open_journal(self, record: ScanRecord) -> None:
        """Begin to change a scan of which the record stays true."""
        journal = self._journal_path(record.scan)
        path = self.path(RECORDS, f'{record.scan}.json')
        is_new = not (self.has_journal(record.scan)
                      or exists(path, self.backend_args))
        write_bytes(journal, encode_line(asdict(record)), self.backend_args)
        if not is_new:
            remove(path, self.backend_args)
            remove(self.path(MANIFEST), self.backend_args)

    def append(self, scan: str, item: str, record: ItemRecord) -> None:
        """Add a finished item to the journal of a scan."""
        append_bytes(
            self._journal_path(scan), encode_line({item: asdict(record)}),
            self.backend_args)

    def remove_journal(self, scan: str) -> None:
        """Forget the journal of a scan that has a record."""
        remove(self._journal_path(scan), self.backend_args)

    def open_scans(self) -> List[str]:
        """Names of the scans being written or interrupted."""
        names = list_names(self.path(RECORDS), self.backend_args, '.jsonl')
        stems = {PurePosixPath(name).stem for name in names}
        return sorted(stems - set(self.recorded_scans()))

    def check_complete(self, scan: str) -> None:
        """Raise an error for a scan being written or interrupted.

        FrameError when it has a journal and no record.
        """
        record = self.path(RECORDS, f'{scan}.json')
        if self.has_journal(scan) and not exists(record, self.backend_args):
            folder = PurePosixPath(self.root).name
            raise FrameError(f'{folder}: scan {scan} is incomplete; finish '
                             'the step that makes it')

    def _journal_path(self, scan: str) -> str:
        return self.path(RECORDS, f'{scan}.jsonl')

    def recorded_scans(self) -> List[str]:
        """Names of the scans that are complete, sorted."""
        names = list_names(self.path(RECORDS), self.backend_args, '.json')
        return [PurePosixPath(name).stem for name in names]

    def manifest(self) -> Dict[str, ScanRecord]:
        """The merged records, by scan.

        StoreError when manifest.json is missing or damaged.
        """
        path = self.path(MANIFEST)
        if not exists(path, self.backend_args):
            raise StoreError(f'{path} is missing; finish the step')
        scans = decode_json(self.read(MANIFEST), path).get('scans', {})
        return {name: record_from(scans[name], path) for name in scans}

    def merge(self) -> Dict[str, ScanRecord]:
        """Merge all records into manifest.json.

        Two processes may do so at once: whoever writes last looks again
        whether a record has come or gone meanwhile.

        Returns:
            Dict[str, ScanRecord]: By scan.
        """
        while True:
            contents = self._read_records()
            values = {
                n: decode_json(c, self.path(RECORDS, f'{n}.json'))
                for n, c in contents.items()
            }
            manifest = dict(self.header(), scans=values)
            self.write({MANIFEST: encode_json(manifest)}, sync=True)
            if self._read_records() == contents:
                return {
                    n: record_from(v, self.path(RECORDS, f'{n}.json'))
                    for n, v in values.items()
                }

    def _read_records(self) -> Dict[str, bytes]:
        """All records; one may vanish when its scan is changed."""
        contents = {}
        for scan in self.recorded_scans():
            with suppress(FileNotFoundError):
                contents[scan] = self.read(f'{RECORDS}/{scan}.json')
        return contents
