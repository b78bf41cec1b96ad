"""Infos of whole splits, from the records of their scans."""
from collections import Counter
from pathlib import Path
from typing import Dict, List, Tuple

from rich.console import Console

from ....store.errors import StoreError
from ....store.files import is_local
from ....store.manifest import Store
from ....store.records import ScanRecord
from ...lifting.region_paths import name_region_files
from ..scans.infos import StoredScan, write_split
from .layout import WITHOUT_ANNOTATIONS, Splits


def check_local(store: Store) -> None:
    """StoreError unless the folder is local, so that it can have infos."""
    if not is_local(store.root, store.backend_args):
        raise StoreError(f'{store.root} is not a local folder, and infos need '
                         'one; choose a local --out')


def write_infos(store: Store,
                splits: Splits,
                console: Console,
                is_partial: bool = False) -> Dict[str, Path]:
    """Write ``scannet_infos_<split>.pkl`` of the splits that are complete.

    Of several shards, the one that ends last finds all records and writes
    them; the others say what is still to come. StoreError when a scan of a
    split failed (unless ``is_partial``); other splits are written.
    """
    paths, problems = {}, []
    for split, scans in splits.items():
        found = {scan: store.record(scan) for scan in scans}
        records = {n: record for n, record in found.items() if record}
        pending = len(scans) - len(records)
        if pending:
            console.print(f'{split}: {pending} of {len(scans)} scans are '
                          'still to be prepared; the shard that ends last '
                          'writes the infos')
            continue
        stored, failed = _split_records(split, scans, records)
        if failed and not is_partial:
            name = next(iter(failed))
            problems.append(
                f'{len(failed)} of {len(scans)} scans of {split} failed, the '
                f'first is {name} ({failed[name]})')
        elif stored:
            paths[split] = write_split(Path(store.root), split, stored)
            # Regions of an earlier run stay in use.
            name_region_files(paths[split], store.path('regions'))
            _summarize(paths[split], split, stored, records, console)
    if problems:
        raise StoreError(f'{"; ".join(problems)}. No infos were written of '
                         'these splits: fix the files and run this again, or '
                         'add --partial to leave the scans out')
    return paths


def _split_records(
        split: str, scans: List[str],
        records: Dict[str,
                      ScanRecord]) -> Tuple[List[StoredScan], Dict[str, str]]:
    """Infos of complete scans, and reasons of failed ones."""
    stored, failed = [], {}
    for scan in scans:
        item = records[scan].items.get(scan)
        if item is None or item.status != 'ok':
            failed[scan] = item.reason if item else records[scan].reason
            continue
        fields = item.fields
        if fields['is_annotated'] == (split in WITHOUT_ANNOTATIONS):
            raise StoreError(
                f'{scan} was prepared for another split than {split}; choose '
                'another --data')
        stored.append(StoredScan.from_fields(fields))
    return stored, failed


def _summarize(path: Path, split: str, stored: List[StoredScan],
               records: Dict[str, ScanRecord], console: Console) -> None:
    fields = [
        r.items[scan].fields for scan, r in records.items()
        if scan in r.completed
    ]
    boxes = sum(entry['boxes'] for entry in fields)
    console.print(f'{path}: {len(stored):,} of {len(records):,} scans, '
                  f'{boxes:,} boxes')
    if split in WITHOUT_ANNOTATIONS:
        console.print('  without annotations: masks of zeros, no boxes')
    unknown: Counter = Counter()
    for entry in fields:
        unknown.update(entry['unknown_labels'])
    for label, count in unknown.most_common():
        console.print(f'  label {label!r} is not in the label map: {count:,} '
                      'points are stored as unlabeled (0)')
