"""Features of regions: what is packed is read back, frame by frame."""
import pickle

import numpy as np
import pytest
from mmengine import fileio

from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.region_features import (RegionFeatureArrays,
                                                RegionFeatures, pack_features,
                                                to_feature_arrays,
                                                unpack_features)

CHANNELS = 5


def make_frame(seed, regions):
    rng = np.random.default_rng(seed)
    shape = regions, CHANNELS
    return to_feature_arrays(
        rng.normal(size=shape), rng.normal(size=shape),
        rng.integers(1, 1000, regions), f'frame {seed}')


def make_scan(seed, sizes):
    return {
        f'{i:05d}': make_frame(100 * seed + i, regions)
        for i, regions in enumerate(sizes)
    }


def assert_equal(a, b):
    for name in ('mean', 'max', 'areas'):
        assert getattr(a, name).dtype == getattr(b, name).dtype
        assert (getattr(a, name) == getattr(b, name)).all()


@pytest.fixture
def scans(tmp_path):
    scans = {'b': make_scan(1, (3, 1, 4)), 'a': make_scan(2, (2, 2))}
    for name, frames in scans.items():
        (tmp_path / f'{name}.safetensors').write_bytes(pack_features(frames))
    return scans


def test_frames_in_any_order(tmp_path, scans):
    features = RegionFeatures(tmp_path)
    assert features.scans() == ['a', 'b']
    assert features.frames('b') == ['00000', '00001', '00002']
    for scan, frame in (('b', '00002'), ('a', '00001'), ('b', '00000')):
        arrays = features.read(scan, frame)
        assert_equal(arrays, scans[scan][frame])
        assert arrays.mean.dtype == arrays.max.dtype == np.float16
        assert arrays.areas.dtype == np.int32


def test_a_whole_scan_in_one_piece(tmp_path, scans):
    features = RegionFeatures(tmp_path)
    assert features.offsets('b').tolist() == [0, 3, 4, 8]
    rows = features.read_scan('b', 'max')
    assert (rows[3:4] == scans['b']['00001'].max).all()
    assert rows.shape == (8, CHANNELS)


def test_packing_is_deterministic_and_parts_are_small_files(scans):
    content = pack_features(scans['a'])
    assert content == pack_features(unpack_features(content, 'a'))
    part = pack_features({'00001': scans['a']['00001']})
    assert_equal(unpack_features(part, 'part')['00001'], scans['a']['00001'])


def test_few_files_stay_open_and_none_is_pickled(tmp_path):
    for i in range(6):
        frames = make_scan(i, (2, ))
        (tmp_path / f'{i}.safetensors').write_bytes(pack_features(frames))
    features = RegionFeatures(tmp_path, max_open=2)
    for i in (0, 1, 2, 3, 4, 5, 0, 5):
        assert_equal(
            features.read(str(i), '00000'),
            make_scan(i, (2, ))['00000'])
    assert list(features._open) == ['0', '5']
    copy = pickle.loads(pickle.dumps(features))
    assert not copy._open
    assert_equal(copy.read('3', '00000'), features.read('3', '00000'))


def test_values_are_copies(tmp_path, scans):
    features = RegionFeatures(tmp_path)
    features.read('a', '00000').mean[:] = 7
    assert_equal(features.read('a', '00000'), scans['a']['00000'])


class Bucket(fileio.BaseStorageBackend):
    """An object store in memory."""
    files: dict = {}

    def get(self, filepath):
        return self.files[filepath]

    def get_text(self, filepath, encoding='utf-8'):
        return self.files[filepath].decode(encoding)


def test_remote_files(scans):
    fileio.register_backend('bucket_of_features', Bucket, force=True)
    Bucket.files = {'f/a.safetensors': pack_features(scans['a'])}
    features = RegionFeatures('f', dict(backend='bucket_of_features'))
    assert_equal(features.read('a', '00001'), scans['a']['00001'])


def test_missing_scan_and_frame_name_the_remedy(tmp_path, scans):
    features = RegionFeatures(tmp_path)
    with pytest.raises(FileNotFoundError, match='extract_features'):
        features.read('c', '00000')
    with pytest.raises(StoreError, match='records/a.json'):
        features.read('a', '00009')


@pytest.mark.parametrize('damage', [
    lambda content: content[:-1],
    lambda content: content[:20],
    lambda content: b'',
    lambda content: content.replace(b'"areas"', b'"arenas"'),
    lambda content: content.replace(b'[\\"00000\\"', b'[\\"00001\\"'),
])
def test_damaged_files_are_refused(tmp_path, scans, damage):
    path = tmp_path / 'a.safetensors'
    content = damage(path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(StoreError, match='damaged or of another kind'):
        RegionFeatures(tmp_path).read('a', '00000')
    with pytest.raises(StoreError, match='damaged or of another kind'):
        unpack_features(content, 'a')


@pytest.mark.parametrize('value, reason', [(7e4, 'float16 cannot hold'),
                                           (np.nan, 'NaN'), (np.inf, 'NaN')])
def test_what_float16_cannot_hold_is_refused(value, reason):
    good, bad = np.ones((2, 3)), np.ones((2, 3))
    bad[1, 2] = value
    with pytest.raises(FrameError, match=f'scan/1: a max feature.*{reason}'):
        to_feature_arrays(good, bad, np.ones(2), 'scan/1')


def test_mean_and_max_must_agree():
    frame = RegionFeatureArrays(
        np.ones((2, 3), np.float16), np.ones((2, 4), np.float16),
        np.ones(2, np.int32))
    with pytest.raises(StoreError, match='one shape'):
        unpack_features(pack_features({'0': frame}), 'a')
