"""One scan of a run: what is left to do, and its record when all is done."""
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from ...store.atomic import remove_drafts, remove_empty
from ...store.errors import FrameError, StoreError
from ...store.files import exists, is_local, remove
from ...store.locks import scan_lock
from ...store.manifest import RECORDS, Store
from ...store.records import FileChecksum, ItemRecord, ScanRecord
from .frame_steps import FrameStep


def make_items(step: FrameStep, store: Store, scan: str,
               items: Sequence[str]) -> Dict[str, ItemRecord]:
    """Make some items of a scan, write their files, then their lines."""
    # Looked at before they are read: a change in between is noticed later.
    inputs = [_inputs(step, scan, item) for item in items]
    records = {}
    for item, result, made_of in zip(items, step.process(scan, items), inputs):
        if isinstance(result, FrameError):
            records[item] = ItemRecord('skipped', str(result))
        else:
            records[item] = ItemRecord('ok', '', store.write(result.files),
                                       result.fields, made_of)
        store.append(scan, item, records[item])
    return records


def _inputs(step: FrameStep, scan: str, item: str) -> Dict[str, str]:
    try:
        return step.inputs(scan, item)
    except FrameError:
        return {}  # making the item says why


@dataclass
class ScanJob:
    """A scan between the look at what exists and its record."""
    step: FrameStep  # What to do
    store: Store  # Where to
    scan: str  # Name of the scan
    items: List[str]  # Its items, in order
    reason: str = ''  # Why none of them can be made; empty if they can
    made: int = 0
    kept: int = 0
    _is_open: bool = False
    _records: Dict[str, ItemRecord] = field(default_factory=dict)
    _scan_files: Dict[str, FileChecksum] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> List[str]:
        """Lock the scan, see what exists, and open its journal.

        Returns:
            List[str]: Items that are left to make.
        """
        self._stack.enter_context(
            scan_lock(self.store.root, self.scan, self.store.backend_args))
        self._remove_drafts()
        closed = self._read(self.store.record)
        old = closed or self._read(self.store.journal) or ScanRecord(self.scan)
        if not self.reason:
            self._records = {
                item: old.items[item]
                for item in self.items if self._is_kept(item, old)
            }
        self.kept = len(self._records)
        left = [item for item in self.items if item not in self._records]
        kept = ScanRecord(self.scan, self._records, old.files, self.reason)
        if left or kept != closed or not self.store.is_there(old.files):
            self._open(kept)
        return [] if self.reason else left

    def _remove_drafts(self) -> None:
        if is_local(self.store.root, self.store.backend_args):
            names = [
                f'{RECORDS}/{self.scan}.{end}' for end in ('json', 'jsonl')
            ]
            for item in self.items:
                names += self.step.paths(self.scan, item)
            remove_drafts(self.store.path(name) for name in names)

    def _read(
            self,
            read: Callable[[str],
                           Optional[ScanRecord]]) -> Optional[ScanRecord]:
        """A record or journal; a damaged one counts as none."""
        try:
            return read(self.scan)
        except StoreError:
            return None

    def _is_kept(self, item: str, old: ScanRecord) -> bool:
        """Whether an item is complete and matches the current inputs."""
        record = old.completed.get(item)
        return (record is not None and self._is_there(record, old)
                and self.step.is_up_to_date(self.scan, item, record))

    def _is_there(self, record: ItemRecord, old: ScanRecord) -> bool:
        if record.files or not self.store.has_journal(self.scan):
            files = record.files or old.files
            return bool(files) and self.store.is_there(files)
        # A run may have been stopped after it had packed the item again.
        return bool(old.files) and all(
            exists(self.store.path(path), self.store.backend_args)
            for path in old.files)

    def _open(self, kept: ScanRecord) -> None:
        self.store.open_journal(kept)
        self._is_open = True
        if self.reason:
            return
        try:
            self._scan_files = self.store.write(self.step.begin(self.scan))
        except FrameError as error:
            self.reason = str(error)

    def add(self, records: Dict[str, ItemRecord]) -> bool:
        """Take in results.

        Returns whether all items of the scan are accounted for.
        """
        self._records.update(records)
        self.made += sum(r.status == 'ok' for r in records.values())
        return len(self._records) == len(self.items)

    @property
    def skipped(self) -> Dict[str, str]:
        """Reason of each skipped item, or of the scan, by name."""
        if self.reason:
            return {self.scan: self.reason}
        return {
            f'{self.scan}/{item}': record.reason
            for item, record in self._records.items()
            if record.status == 'skipped'
        }

    @property
    def skipped_frames(self) -> Dict[str, str]:
        """Reasons of what items were made without, by name."""
        return {
            f'{self.scan}/{name}': reason
            for record in self._records.values()
            for name, reason in record.fields.get('left_out', {}).items()
        }

    def finish(self) -> None:
        """Write the scan's own files and its record, and let go of it."""
        if self._is_open:
            self._close()
        if self.store.has_journal(self.scan):
            self._remove_parts()
            self.store.remove_journal(self.scan)
        self._stack.close()

    def _close(self) -> None:
        record = ScanRecord(self.scan, reason=self.reason)
        if not self.reason:
            record.items = {item: self._records[item] for item in self.items}
            files = self.step.finish(self.scan, record.completed,
                                     self.store.read)
            record.files = {**self._scan_files, **self.store.write(files)}
            if self.step.packs_items:
                for item in record.items.values():
                    item.files = {}
        self.store.write_record(record)

    def _remove_parts(self) -> None:
        if not self.step.packs_items:
            return
        paths = [
            self.store.path(path) for item in self.items
            for path in self.step.paths(self.scan, item)
        ]
        for path in paths:
            remove(path, self.store.backend_args)
        if is_local(self.store.root, self.store.backend_args):
            remove_empty({Path(path).parent for path in paths})

    def abandon(self) -> None:
        """Release the scan; its journal is kept."""
        self._stack.close()
