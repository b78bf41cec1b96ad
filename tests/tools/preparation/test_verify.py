"""verify.py: its exit status, what it prints, and its JSON."""
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.store.manifest import ItemRecord, ScanRecord, Store

TOOL = Path(__file__).parents[3] / 'tools/preparation/verify.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('verify_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    """Points of two scans."""
    store = Store(tmp_path / 'data')
    store.open('scans', {})
    for scan in 'ab':
        points = np.ones((5, 6), '<f4').tobytes()
        marks = store.write({f'points/{scan}.bin': points})
        store.write_record(
            ScanRecord(scan, {scan: ItemRecord('ok', files=marks)}))
    store.merge()
    return tmp_path / 'data'


def test_status_tells_whether_all_is_well(tool, data, tmp_path, capsys):
    assert tool.main([f'--data={data}', '--workers=2']) == 0
    output = capsys.readouterr().out
    assert 'every file is there, complete' in output
    (data / 'points/b.bin').write_bytes(b'')
    path = tmp_path / 'problems.json'
    assert tool.main([f'--data={data}', f'--json={path}']) == 1
    output = capsys.readouterr().out
    assert 'points/b.bin: it has 0 bytes, the record says 120; remove' in \
        output
    assert '1 problems' in output
    entry, = json.loads(path.read_text())
    assert entry['problems'][0]['path'] == 'points/b.bin'
    assert entry['scans'] == 2


def test_the_first_problems_are_printed(tool, data, capsys):
    for i in range(5):
        (data / f'points/{i}.bin').write_bytes(b'')
    assert tool.main([f'--data={data}', '--max-problems=2']) == 1
    output = capsys.readouterr().out
    assert output.count('no record names it') == 2
    assert '3 more problems' in output


def test_errors_end_in_one_sentence(tool, tmp_path, capsys):
    assert tool.main([f'--data={tmp_path}/none']) == 1
    assert 'none does not exist; check --data' in capsys.readouterr().err
    assert tool.main([f'--data={tmp_path}']) == 1
    assert 'has no store' in capsys.readouterr().err


def test_a_store_of_nothing_is_empty_not_complete(tool, tmp_path, capsys):
    Store(tmp_path / 'region_maps').open('region_maps', {})
    Store(tmp_path / 'region_maps').merge()
    assert tool.main(['--data', str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert 'empty' in text and 'complete' not in text
