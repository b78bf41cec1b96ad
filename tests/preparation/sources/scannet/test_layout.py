"""Finding scans and reading the lists of the splits."""
import pytest

from sam3d_plugin.preparation.sources.scannet import layout
from sam3d_plugin.store.errors import StoreError


def test_lists(tmp_path):
    first, second = tmp_path / 'a.txt', tmp_path / 'b.txt'
    first.write_text('s1\r\ns2\r\n')
    assert layout.read_list(first) == ['s1', 's2']
    second.write_text('s3\ns1\n')
    with pytest.raises(StoreError, match='s1 is in the lists of train and v'):
        layout.read_splits(dict(train=first, val=second))
    second.write_text('s3\ns3\n')
    with pytest.raises(StoreError, match='names s3 twice'):
        layout.read_list(second)
    second.write_text('\n')
    with pytest.raises(StoreError, match='names no scan'):
        layout.read_list(second)
    with pytest.raises(StoreError, match='c.txt cannot be read'):
        layout.read_list(tmp_path / 'c.txt')
    with pytest.raises(StoreError, match='--test-list'):
        layout.find_lists(tmp_path, {}, ['test'])
    with pytest.raises(StoreError, match='no list of scans'):
        layout.find_lists(tmp_path, {})
    found = layout.find_lists(None, dict(val=first))
    assert found == dict(val=first)


def test_a_scan_in_two_folders_is_refused(tmp_path):
    for folder in ('scans', 'scans_test'):
        (tmp_path / folder / 'scene0000_00').mkdir(parents=True)
    with pytest.raises(StoreError, match='one scan twice'):
        layout.find_folders(tmp_path)
