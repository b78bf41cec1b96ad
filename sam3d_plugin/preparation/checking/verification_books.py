"""Checks of the headers, records and manifests of stores."""
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Dict, Iterator, List, Sequence, Set

from ...store.errors import StoreError
from ...store.files import (BackendArgs, PathLike, exists, is_local, join,
                            list_names)
from ...store.manifest import HEADER, MANIFEST, RECORDS, Store
from ...store.records import ScanRecord
from ...store.region_groups import KIND as GROUPS_KIND
from .content_checks import CONTENT_CHECKS

# Files of a store that keep its books.
_BOOKS = (HEADER, MANIFEST)
# Stores computed from the frames of posed_images. Only our steps write them:
# without a header they are half copied.
_OF_FRAMES = ('region_maps', 'region_features', 'frame_regions')
_NAMED = 3
AGAIN = 'run the step that made it again'
REMOVE = f'remove it, then {AGAIN}'
_TOOLS = dict(
    region_maps='generate_regions.py',
    region_features='extract_features.py',
    region_groups='build_groups.py',
    scan_regions='lift_regions.py',
    frame_regions='lift_regions.py',
    frame_pairs='pair_frames.py',
    fused_scans='fuse_frames.py')


@dataclass(frozen=True)
class Problem:
    """A problem of a file."""
    path: str  # File or folder, relative to the data set
    what: str  # What is wrong with it
    remedy: str  # What to do

    def __str__(self) -> str:
        what = self.what.replace(f'{self.path}: ', '')
        text = what if what.startswith(self.path) else f'{self.path}: {what}'
        return f'{text}; {self.remedy}'


@dataclass
class StoreReport:
    """Report on one store."""
    folder: str  # The store, relative to the data set
    kind: str = '?'  # Kind of its header
    scans: int = 0  # Scans with a record
    items: int = 0  # Items that were made
    skipped: int = 0  # Items that were skipped, with a reason
    files: int = 0  # Files read
    size: int = 0  # Their bytes
    problems: List[Problem] = field(default_factory=list)  # What is wrong
    # What is not wrong but good to know
    notes: List[str] = field(default_factory=list)
    # Records by scan
    records: Dict[str, ScanRecord] = field(default_factory=dict)
    # Files that its records name, relative to the data set
    listed: Set[str] = field(default_factory=set)

    def path(self, name: str) -> str:
        """Path of a file of the store, relative to the data set."""
        return f'{self.folder}/{name}' if self.folder else name

    def complain(self, name: str, what: str, remedy: str) -> None:
        """Add a problem of a file of the store; names the tool to run."""
        tool = _TOOLS.get(self.kind)
        if tool:
            remedy = remedy.replace(AGAIN, f'run {tool} again')
        self.problems.append(Problem(self.path(name), what, remedy))


def find_stores(data: PathLike, backend_args: BackendArgs = None) -> List[str]:
    """Folders with a header: the data set (``''``) and two levels below."""
    found = [''] if exists(join(data, HEADER), backend_args) else []
    for name in list_names(data, backend_args, folders=True):
        if exists(join(data, name, HEADER), backend_args):
            found.append(name)
            continue
        found += [
            f'{name}/{below}' for below in list_names(
                join(data, name), backend_args, folders=True)
            if exists(join(data, name, below, HEADER), backend_args)
        ]
    return found


def data_folder(path: PathLike, backend_args: BackendArgs = None) -> str:
    """The data set that a folder is, or that the store in it belongs to."""
    store = Store(str(path).rstrip('/'), backend_args)
    kind = store.header()['kind'] if store.exists() else ''
    levels = 2 if kind == GROUPS_KIND else int(kind in CONTENT_CHECKS)
    root = store.root
    for _ in range(levels):
        root = root.rpartition('/')[0] or '.'
    return root


def half_copied(data: str, found: Sequence[str],
                backend_args: BackendArgs) -> Iterator[StoreReport]:
    """Reports on folders that look like stores and have no header."""
    for name in list_names(data, backend_args, folders=True):
        root = join(data, name)
        has_books = any(
            exists(join(root, book), backend_args)
            for book in (MANIFEST, RECORDS))
        if name not in found and (has_books or name in _OF_FRAMES):
            report = StoreReport(name)
            report.complain(
                HEADER, 'it is missing: the store is incomplete or its run '
                'never started', f'copy the store again, or {AGAIN}')
            yield report


def read_books(data: str, store: Store, report: StoreReport) -> None:
    """Check header, records and manifest; the report gets the results."""
    try:
        report.kind = str(store.header().get('kind'))
    except StoreError as error:
        report.complain(HEADER, relative(error, data), 'copy the store again')
        return
    _read_records(data, store, report)
    _compare_manifest(data, store, report)
    for scan, record in report.records.items():
        report.scans += 1
        report.items += len(record.completed)
        report.skipped += len(record.items) - len(record.completed)
        _check_record(scan, record, report)
    if report.kind == 'posed_images':
        _note_copies(report)


def relative(error: Exception, data: str) -> str:
    """Error message with paths relative to the data set."""
    return str(error).replace(f'{data}/', '')


def _read_records(data: str, store: Store, report: StoreReport) -> None:
    for scan in store.recorded_scans():
        try:
            record = store.record(scan)
        except StoreError as error:
            report.complain(f'{RECORDS}/{scan}.json', relative(error, data),
                            REMOVE)
            continue
        assert record is not None
        report.records[scan] = record
    for scan in store.open_scans():
        report.complain(f'{RECORDS}/{scan}.jsonl',
                        f'scan {scan} is incomplete: its run was stopped',
                        AGAIN)


def _compare_manifest(data: str, store: Store, report: StoreReport) -> None:
    """The manifest is the merged records; it stands in for missing ones."""
    try:
        merged = store.manifest()
    except StoreError as error:
        report.complain(MANIFEST, relative(error, data), AGAIN)
        return
    records = report.records
    for scan in sorted({*records, *merged}):
        name = f'{RECORDS}/{scan}.json'
        if scan not in merged:
            report.complain(MANIFEST, f'it lacks scan {scan}',
                            f'{AGAIN} to merge it')
        elif not exists(store.path(name), store.backend_args):
            report.complain(
                name, 'it is missing, but the manifest has the scan: the '
                'store is incomplete', f'copy it, or {AGAIN}')
            records[scan] = merged[scan]
        elif scan in records and records[scan] != merged[scan]:
            report.complain(MANIFEST, f'scan {scan} differs from its record',
                            f'{AGAIN} to merge it')


def _check_record(scan: str, record: ScanRecord, report: StoreReport) -> None:
    """Check a record by itself."""
    name = f'{RECORDS}/{scan}.json'
    recorded = [record.files, *(i.files for i in record.items.values())]
    paths = Counter(path for files in recorded for path in files)
    for path, count in paths.items():
        if count > 1:
            report.complain(name, f'it lists {path} twice', REMOVE)
    report.listed |= {report.path(path) for path in paths}
    if record.scan != scan:
        report.complain(name, f'it is of scan {record.scan}', REMOVE)
    for item, entry in record.items.items():
        if entry.status not in ('ok', 'skipped'):
            report.complain(name, f'{item} has the status {entry.status!r}',
                            REMOVE)
        elif entry.status == 'skipped' and not entry.reason:
            report.complain(name, f'{item} was skipped without a reason',
                            REMOVE)


def _note_copies(report: StoreReport) -> None:
    """Frames of one scan whose color images are the same file."""
    for scan, record in report.records.items():
        first: Dict[str, str] = {}
        for item, entry in record.completed.items():
            for path, (_, checksum) in entry.files.items():
                if path.endswith('.jpg') and first.setdefault(checksum,
                                                              item) != item:
                    report.notes.append(
                        f'{report.folder}/{scan}: frame {item} has the same '
                        f'color image as {first[checksum]}')


def note_incomplete(reports: Sequence[StoreReport]) -> None:
    """Report scans and frames with images that a later store lacks."""
    images: Dict[str, ScanRecord] = {}
    for report in reports:
        if report.kind == 'posed_images':
            images.update(report.records)
    for report in reports:
        if report.kind not in _OF_FRAMES:
            continue
        missing = [scan for scan in images if scan not in report.records]
        missing += [
            f'{scan}/{item}' for scan, record in report.records.items()
            if scan in images and not record.reason
            for item in images[scan].completed if item not in record.items
        ]
        if missing:
            more = ' ...' if len(missing) > _NAMED else ''
            report.notes.append(
                f'{report.folder}: {len(missing)} scans or frames with images '
                f'are not in it yet: {", ".join(missing[:_NAMED])}{more}')


def find_strays(data: str, report: StoreReport, listed: Set[str],
                found: Sequence[str], backend_args: BackendArgs) -> None:
    """Report files that the records of no store name."""
    if report.kind == '?':
        return
    folders = {str(PurePosixPath(path).parent) for path in report.listed}
    if report.folder:
        folders |= set(
            _folders_below(data, report.folder, found, backend_args))
    start = len(report.path(''))
    for folder in sorted(folders - {'.'}):
        for name in list_names(join(data, folder), backend_args):
            path = f'{folder}/{name}'
            is_book = folder in found and name in _BOOKS
            if path not in listed and not is_book:
                report.complain(
                    path[start:], 'no record names it: it is left over, or '
                    'its scan is not complete', f'{AGAIN}, or remove it')
        _note_temporaries(data, folder, report, backend_args)


def _note_temporaries(data: str, folder: str, report: StoreReport,
                      backend_args: BackendArgs) -> None:
    """Temporary files that a killed run has left; no reader sees them."""
    root = join(data, folder)
    if not is_local(root, backend_args) or not os.path.isdir(root):
        return
    names = [
        name for name in os.listdir(root)
        if name.startswith('.') and name.endswith('.tmp')
    ]
    if names:
        report.notes.append(f'{folder}: {len(names)} temporary files of a '
                            f'killed run ({names[0]}) can be removed')


def _folders_below(data: str, folder: str, found: Sequence[str],
                   backend_args: BackendArgs) -> Iterator[str]:
    """The folders of a store, without those of its books and others."""
    yield folder
    for name in list_names(join(data, folder), backend_args, folders=True):
        path = f'{folder}/{name}'
        if path not in found and not (folder in found and name == RECORDS):
            yield from _folders_below(data, path, found, backend_args)
