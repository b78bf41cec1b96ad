"""Region files round-trip and know the points they belong to."""
import numpy as np
import pytest

from sam3d_plugin.store import (atomic_write, read_region_file,
                                write_region_file)


@pytest.fixture
def scan():
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 3)).astype('float32'), rng.integers(0, 9, 50)


def test_round_trip(tmp_path, scan):
    xyz, ids = scan
    write_region_file(tmp_path / 'regions' / 'a.npz', ids, xyz, 'a')
    read = read_region_file(tmp_path / 'regions' / 'a.npz', xyz)
    assert read.dtype == np.uint32 and (read == ids).all()


def test_empty_scan_round_trips(tmp_path):
    write_region_file(tmp_path / 'a.npz', np.zeros(0, int), np.zeros((0, 3)),
                      'a')
    assert len(read_region_file(tmp_path / 'a.npz', np.zeros((0, 3)))) == 0


@pytest.mark.parametrize('ids, message', [
    (np.full(50, 2**24 + 1), 'over 2\\^24'),
    (np.full(50, -1), 'negative'),
    (np.zeros(50), 'one integer per point'),
    (np.zeros(49, int), '49 region ids for 50 points'),
])
def test_writing_refuses(tmp_path, scan, ids, message):
    with pytest.raises(ValueError, match=message):
        write_region_file(tmp_path / 'a.npz', ids, scan[0], 'a')
    assert not list(tmp_path.iterdir())


def test_reading_refuses_other_points(tmp_path, scan):
    xyz, ids = scan
    path = tmp_path / 'a.npz'
    write_region_file(path, ids, xyz, 'a')
    with pytest.raises(ValueError, match='50 region ids of a.*has 49 points'):
        read_region_file(path, xyz[:49])
    with pytest.raises(ValueError, match='belongs to other points'):
        read_region_file(path, xyz[::-1])


def test_reading_refuses_damaged_files(tmp_path, scan):
    xyz, ids = scan
    path = tmp_path / 'a.npz'
    with pytest.raises(FileNotFoundError, match='a.npz is missing'):
        read_region_file(path, xyz)
    write_region_file(path, ids, xyz, 'a')
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match='readable'):
        read_region_file(path, xyz)
    np.savez(path, other=ids)
    with pytest.raises(ValueError, match='readable'):
        read_region_file(path, xyz)


def test_reading_refuses_every_changed_byte(tmp_path, scan):
    xyz, ids = scan
    path = tmp_path / 'a.npz'
    write_region_file(path, ids, xyz, 'a')
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0xff
        path.write_bytes(damaged)
        try:
            read = read_region_file(path, xyz)
        except ValueError as error:
            assert 'a.npz' in str(error)
        else:  # a byte of the archive that says nothing of the arrays
            assert (read == ids).all()
    np.save(tmp_path / 'b.npy', ids)
    (tmp_path / 'b.npy').rename(path)
    with pytest.raises(ValueError, match='readable'):
        read_region_file(path, xyz)


def test_reading_refuses_too_large_ids(tmp_path, scan):
    """A file that another program wrote."""
    xyz, ids = scan
    path = tmp_path / 'a.npz'
    write_region_file(path, ids, xyz, 'a')
    with np.load(path) as arrays:
        content = dict(arrays)
    content['region_ids'] = content['region_ids'] + np.uint32(2**24)
    np.savez(path, **content)
    with pytest.raises(ValueError, match='over 2\\^24'):
        read_region_file(path, xyz)


def test_atomic_write_leaves_the_old_file_on_failure(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    with pytest.raises(OSError, match='disk full'):
        with atomic_write(path, 'w') as file:
            file.write('new')
            raise OSError('disk full')
    assert path.read_text() == 'old'
    assert [entry.name for entry in tmp_path.iterdir()] == ['file']
    with atomic_write(path, 'w') as file:
        file.write('new')
    assert path.read_text() == 'new'
