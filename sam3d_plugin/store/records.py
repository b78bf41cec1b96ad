"""Results of the items of a scan, as JSON.

A record is one JSON object. A journal holds the same in lines: a record of
what was there at the start, then one line for each item that is finished.
"""
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Tuple

from .errors import StoreError
from .files import checksum

# Size in bytes and checksum of a file.
FileChecksum = Tuple[int, str]


@dataclass
class ItemRecord:
    """Result of one item."""
    status: str  # ``'ok'`` or ``'skipped'``
    reason: str = ''  # Why it was skipped
    # :data:`FileChecksum` of its files, by relative path
    files: Dict[str, FileChecksum] = field(default_factory=dict)
    # Numbers of the step, e.g. ``regions``
    fields: Dict[str, Any] = field(default_factory=dict)
    # Fingerprints of its inputs, by name; see :meth:`FrameStep.inputs`
    inputs: Dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Checksum of the item's files and inputs."""
        return fingerprint(
            [*(state[1] for state in self.files.values()), self.inputs])

    def is_up_to_date(self, inputs: Mapping[str, str]) -> bool:
        """Whether the item matches these inputs.

        An empty one is unknown and is not compared. False when one differs or
        was unknown at the time.
        """
        return all(not value or self.inputs.get(name) == value
                   for name, value in inputs.items())


@dataclass
class ScanRecord:
    """Results of one scan."""
    scan: str  # Its name
    # Records of its items, by name
    items: Dict[str, ItemRecord] = field(default_factory=dict)
    # :data:`FileChecksum` of the scan's own files
    files: Dict[str, FileChecksum] = field(default_factory=dict)
    reason: str = ''  # Why all of the scan was skipped; empty if it was not

    @property
    def completed(self) -> Dict[str, ItemRecord]:
        """The items that were made, by name."""
        return {n: r for n, r in self.items.items() if r.status == 'ok'}


def file_checksum(content: bytes) -> FileChecksum:
    """Size and checksum of a file's content."""
    return len(content), checksum(content)


def fingerprint(value: Any) -> str:
    """Checksum of a JSON value; empty for an empty one."""
    text = json.dumps(value, sort_keys=True)
    return checksum(text.encode()) if value else ''


def encode_json(value: Dict[str, Any]) -> bytes:
    """A JSON object as a file."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) +
            '\n').encode()


def decode_json(content: bytes, path: str) -> Dict[str, Any]:
    """The inverse of :func:`encode_json`; StoreError for other files."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreError(f'{path} is damaged ({error}); remove it and run '
                         'the step again') from error
    if not isinstance(value, dict):
        raise StoreError(f'{path} does not hold a record; remove it and run '
                         'the step again')
    return value


def _item_from(value: Dict[str, Any]) -> ItemRecord:
    return ItemRecord(value['status'], value['reason'],
                      _checksums_from(value['files']), value['fields'],
                      value.get('inputs', {}))


def _checksums_from(files: Dict[str, List]) -> Dict[str, FileChecksum]:
    return {name: (int(s), str(c)) for name, (s, c) in files.items()}


def record_from(value: Dict[str, Any], path: str) -> ScanRecord:
    """A record from its JSON, in which checksums are lists.

    StoreError when a part is missing or of another type.
    """
    try:
        items = {n: _item_from(item) for n, item in value['items'].items()}
        return ScanRecord(value['scan'], items,
                          _checksums_from(value['files']), value['reason'])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f'{path} is not the record of a scan ({error!r}); remove '
            'it and run the step again') from error


def encode_line(value: Dict[str, Any]) -> bytes:
    """A line of a journal."""
    return (json.dumps(value, sort_keys=True, allow_nan=False) + '\n').encode()


def decode_journal(content: bytes, path: str) -> ScanRecord:
    """Content of a journal.

    A later line replaces an earlier one. A torn line is ignored: its item is
    not finished. StoreError when the first line, which is written at once with
    the file, is damaged.
    """
    head, _, lines = content.partition(b'\n')
    record = record_from(decode_json(head, path), path)
    for line in lines.splitlines(keepends=True):
        try:
            (name, value), = json.loads(line).items()
            if line.endswith(b'\n'):
                record.items[name] = _item_from(value)
        except (AttributeError, KeyError, TypeError, ValueError,
                RecursionError):
            continue
    return record
