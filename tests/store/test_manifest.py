"""The bookkeeping of a store."""
import json
import threading
from pathlib import Path

import pytest

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.manifest import (ItemRecord, ScanRecord, Store,
                                         differences)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / 'store')
    store.open('toys', dict(size=3, model=dict(name='x')))
    return store


def record(scan):
    marks = {f'{scan}/0.png': (3, 'abc')}
    items = {
        '0': ItemRecord('ok', '', marks, dict(regions=4)),
        '1': ItemRecord('skipped', 'torn')
    }
    return ScanRecord(scan, items, {f'{scan}.txt': (1, 'd')})


def test_records_survive_the_disk(store):
    store.write_record(record('a'))
    assert store.record('a') == record('a')
    assert store.record('b') is None
    assert list(store.record('a').completed) == ['0']


def test_merging_collects_all_records(store):
    for scan in 'ba':
        store.write_record(record(scan))
    assert store.merge() == {'a': record('a'), 'b': record('b')}
    assert store.manifest() == store.merge()
    header = json.loads(store.read('manifest.json'))
    assert header['kind'] == 'toys' and header['settings']['size'] == 3


def test_many_processes_merge_without_losing_a_record(store):

    def work(names):
        for name in names:
            store.write_record(record(name))
        store.merge()

    names = [f'scan{i}' for i in range(24)]
    threads = [
        threading.Thread(target=work, args=(names[i::6], )) for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(store.manifest()) == sorted(names)


def test_the_same_settings_open_it_again(store):
    before = store.header()
    store.open('toys', dict(size=3, model=dict(name='x')))
    assert store.header() == before


def test_other_settings_are_named(store):
    with pytest.raises(StoreError, match="model.name 'x', now 'y'"):
        store.open('toys', dict(size=3, model=dict(name='y')))
    with pytest.raises(StoreError, match="kind 'toys', now 'games'"):
        store.open('games', dict(size=3, model=dict(name='x')))


def test_differences_name_what_only_one_has():
    assert differences(dict(a=1),
                       dict(b=2)) == ['a 1, now None', 'b None, now 2']


@pytest.mark.parametrize('content, message', [
    ('{"format_version": 7}', 'format version 7'),
    ('{"format_ver', 'is damaged'),
    ('[]', 'record'),
])
def test_a_bad_header_is_refused(store, content, message):
    store.write({'store.json': content.encode()})
    with pytest.raises(StoreError, match=message):
        store.header()


def test_a_folder_without_header_is_no_store(tmp_path):
    with pytest.raises(StoreError, match='store'):
        Store(tmp_path).header()


@pytest.mark.parametrize('content', ['{"scan": "a"}', '{"sc', '{"items": 3}'])
def test_a_bad_record_is_refused(store, content):
    store.write({'records/a.json': content.encode()})
    with pytest.raises(StoreError, match='records/a.json'):
        store.record('a')


def test_a_missing_manifest_is_named(store):
    with pytest.raises(StoreError, match='finish'):
        store.manifest()


def test_a_file_with_the_same_content_stays(store):
    path = Path(store.path('a.bin'))
    marks = store.write({'a.bin': b'whole'})
    first = path.stat().st_ino
    assert store.write({'a.bin': b'whole'}) == marks
    assert path.stat().st_ino == first
    store.write({'a.bin': b'other'})
    assert path.read_bytes() == b'other' and path.stat().st_ino != first
