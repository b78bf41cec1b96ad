"""One scan of a run: what is left to do, and its record when all is done."""
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from ...store.atomic import remove_drafts, remove_empty
from ...store.errors import FrameError, StoreError
from ...store.files import is_local, remove, size_of
from ...store.locks import scan_lock
from ...store.manifest import (RECORDS, FileMark, ItemRecord, ScanRecord,
                               Store, mark_of)
from .frame_steps import FrameStep


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    Args:
        item (str): Its name.
        record (ItemRecord): For the scan's record.
    """
    item: str
    record: ItemRecord


def make_items(step: FrameStep, store: Store, scan: str,
               items: Sequence[str]) -> List[Outcome]:
    """Make some items of a scan and write their files.

    Args:
        step (FrameStep): What to do.
        store (Store): Where to.
        scan (str): Name of the scan.
        items (Sequence[str]): Names of at most ``step.batch_size`` items.

    Returns:
        List[Outcome]: One for each item, in order.
    """
    outcomes = []
    for item, result in zip(items, step.process(scan, items)):
        if isinstance(result, FrameError):
            record = ItemRecord('skipped', str(result))
        else:
            record = ItemRecord('ok', '', store.write(result.files),
                                result.fields)
        outcomes.append(Outcome(item, record))
    return outcomes


def adopt_item(step: FrameStep, store: Store, scan: str,
               item: str) -> Optional[ItemRecord]:
    """Take over the files of an item that a killed run has left.

    Args:
        step (FrameStep): What made them.
        store (Store): Where they are.
        scan (str): Name of the scan.
        item (str): Name of the item.

    Returns:
        Optional[ItemRecord]: None when it has to be made again.
    """
    paths = step.paths(scan, item)
    # The marker comes last, so it is the first to look for.
    if any(
            size_of(store.path(path), store.backend_args) < 0
            for path in reversed(paths)):
        return None
    files = {path: store.read(path) for path in paths}
    try:
        fields = step.adopt(scan, item, files)
    except FrameError:
        return None
    marks = {path: mark_of(content) for path, content in files.items()}
    return ItemRecord('ok', '', marks, fields)


@dataclass
class ScanJob:
    """A scan between the look at what exists and its record.

    Args:
        step (FrameStep): What to do.
        store (Store): Where to.
        scan (str): Name of the scan.
        items (list[str]): Its items, in order.
        reason (str): Why none of them can be made; empty if they can.
    """
    step: FrameStep
    store: Store
    scan: str
    items: List[str]
    reason: str = ''
    made: int = 0
    kept: int = 0
    _old: Optional[ScanRecord] = None
    _scan_files: Optional[Dict[str, FileMark]] = None
    _outcomes: Dict[str, ItemRecord] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> List[str]:
        """Lock the scan and see what exists.

        Returns:
            List[str]: Items that are left to make.
        """
        self._stack.enter_context(
            scan_lock(self.store.root, self.scan, self.store.backend_args))
        if self.reason:
            return []
        self._remove_drafts()
        self._old = self._read_record()
        for item, record in self._whole_items().items():
            self._outcomes[item] = record
        self.kept = len(self._outcomes)
        left = [item for item in self.items if item not in self._outcomes]
        if left:
            self._begin()
        return [] if self.reason else left

    def _remove_drafts(self) -> None:
        if is_local(self.store.root, self.store.backend_args):
            names = [f'{RECORDS}/{self.scan}.json']
            for item in self.items:
                names += self.step.paths(self.scan, item)
            remove_drafts(self.store.path(name) for name in names)

    def _read_record(self) -> Optional[ScanRecord]:
        """The record; a damaged one counts as none, since files are read."""
        try:
            return self.store.record(self.scan)
        except StoreError:
            return None

    def _whole_items(self) -> Dict[str, ItemRecord]:
        """Records of the items that need not be made.

        What was made of another input is made again, not adopted.
        """
        old = self._old.whole if self._old else {}
        is_packed = (
            self._old is not None and self.step.removes_parts
            and bool(self._old.files) and self.store.is_there(self._old.files))
        found = {}
        for item in self.items:
            record = old.get(item)
            if record is not None and not self.step.is_current(
                    self.scan, item, record.fields):
                continue
            is_there = record is not None and (is_packed or bool(
                record.files) and self.store.is_there(record.files))
            if record is None or not is_there:
                record = adopt_item(self.step, self.store, self.scan, item)
            if record is not None:
                found[item] = record
        return found

    def _begin(self) -> None:
        try:
            self._scan_files = self.store.write(self.step.begin(self.scan))
        except FrameError as error:
            self.reason = str(error)

    def add(self, outcomes: Sequence[Outcome]) -> bool:
        """Take in results.

        Args:
            outcomes (Sequence[Outcome]): Of some of the scan's items.

        Returns:
            bool: Whether all items are accounted for.
        """
        for outcome in outcomes:
            self._outcomes[outcome.item] = outcome.record
            self.made += outcome.record.status == 'ok'
        return self.is_done

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to make."""
        return bool(self.reason) or len(self._outcomes) == len(self.items)

    @property
    def skipped(self) -> Dict[str, str]:
        """Reason of each skipped item, or of the scan, by name."""
        if self.reason:
            return {self.scan: self.reason}
        return {
            f'{self.scan}/{item}': record.reason
            for item, record in self._outcomes.items()
            if record.status == 'skipped'
        }

    @property
    def left_out(self) -> Dict[str, str]:
        """Reasons of what items were made without, by name."""
        return {
            f'{self.scan}/{name}': reason
            for record in self._outcomes.values()
            for name, reason in record.fields.get('left_out', {}).items()
        }

    def finish(self) -> None:
        """Write the scan's own files and its record, and let go of it."""
        items = {} if self.reason else {
            item: self._outcomes[item]
            for item in self.items
        }
        record = ScanRecord(self.scan, items, reason=self.reason)
        if not self._is_unchanged(record):
            self._write(record)
        if self.step.removes_parts:
            self._remove_parts(record)
        self._stack.close()

    def _is_unchanged(self, record: ScanRecord) -> bool:
        old = self._old
        return (old is not None and old.items == record.items
                and old.reason == record.reason
                and self.store.is_there(old.files))

    def _write(self, record: ScanRecord) -> None:
        if self._scan_files is None and not self.reason:
            self._begin()
        if self.reason:
            record.reason, record.items = self.reason, {}
        else:
            record.files = dict(self._scan_files or {})
            record.files.update(self._pack(record))
        self.store.write_record(record)

    def _pack(self, record: ScanRecord) -> Dict[str, FileMark]:
        """Let the step make the scan's files of its items."""
        if self.step.removes_parts:
            self._restore_parts(record)
        fields = {name: item.fields for name, item in record.whole.items()}
        files = self.step.finish(self.scan, fields, self.store.read)
        if self.step.removes_parts:
            for item in record.items.values():
                item.files = {}
        return self.store.write(files)

    def _restore_parts(self, record: ScanRecord) -> None:
        """Unpack kept items, so that all can be packed together."""
        for item in record.whole:
            paths = self.step.paths(self.scan, item)
            if any(
                    size_of(self.store.path(p), self.store.backend_args) < 0
                    for p in paths):
                self.store.write(
                    self.step.restore(self.scan, item, self.store.read))

    def _remove_parts(self, record: ScanRecord) -> None:
        for item in record.whole:
            for path in self.step.paths(self.scan, item):
                remove(self.store.path(path), self.store.backend_args)
        if is_local(self.store.root, self.store.backend_args):
            folders = {
                Path(self.store.path(path)).parent
                for item in record.whole
                for path in self.step.paths(self.scan, item)
            }
            remove_empty(folders)

    def abandon(self) -> None:
        """Let go of the scan without a record."""
        self._stack.close()
