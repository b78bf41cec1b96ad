import pytest

from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.splits import (make_splits,
                                                           parse_split,
                                                           read_list)
from sam3d_plugin.store.errors import StoreError

SCANS = ['a', 'b', 'c']


def test_without_lists_all_scans_are_in_both():
    notes = []
    splits = make_splits(SCANS, [], notes)
    assert splits == {'train': SCANS, 'val': SCANS}
    assert 'no lists given' in notes[0]


def test_a_missing_list_is_the_rest():
    assert make_splits(SCANS, [{
        'val': ['b']
    }]) == {
        'train': ['a', 'c'],
        'val': ['b']
    }


def test_further_splits_and_left_out_scans():
    given = [{'extra': ['c']}, {'val': ['a']}, {'train': ['a']}]
    notes = []
    assert list(make_splits(SCANS, given, notes)) == ['train', 'val', 'extra']
    assert notes == ['1 scans are in no list and are not imported']


def test_lists_from_the_command_line(tmp_path):
    (tmp_path / 'l.txt').write_text('a\nb\n\n')
    assert parse_split('x=a,b') == {'x': ['a', 'b']}
    assert parse_split(f'x=@{tmp_path}/l.txt') == {'x': ['a', 'b']}


@pytest.mark.parametrize('text', ['x', 'x=', '=a', '../x=a'])
def test_bad_split_arguments(text):
    with pytest.raises(ScanError, match='write NAME='):
        parse_split(text)


@pytest.mark.parametrize('given, message', [
    ([{
        'val': ['d']
    }], r'val names d, which is not .*\(a, b, c\)'),
    ([{
        'val': ['a', 'a']
    }], 'val names a twice'),
    ([{
        'val': []
    }], 'val names no scan'),
    ([{
        'val': ['a']
    }, {
        'val': ['b']
    }], 'val is given twice'),
    ([{
        'val': SCANS
    }], 'no scan is left for train'),
])
def test_bad_splits(given, message):
    with pytest.raises(ScanError, match=message):
        make_splits(SCANS, given)


def test_bad_lists(tmp_path):
    (tmp_path / 'empty.txt').touch()
    with pytest.raises(StoreError, match='empty.txt names no scan'):
        read_list(tmp_path / 'empty.txt')
    with pytest.raises(StoreError, match='missing.txt cannot be read'):
        read_list(tmp_path / 'missing.txt')
