"""Id maps of frames."""
import numpy as np
import pytest

from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.region_maps import (RegionMaps, check_region_map,
                                            decode_region_map,
                                            encode_region_map)


def test_ids_over_255_survive_the_png():
    ids = np.arange(400 * 300).reshape(400, 300) % 40000
    assert (decode_region_map(encode_region_map(ids), 'x') == ids).all()


@pytest.mark.parametrize('ids, message', [
    (np.zeros((4, 4), int), 'no region'),
    (np.array([[1, 3]]), '2 of 1..3 is missing'),
    (np.array([[-1, 1]]), 'negative'),
    (np.arange(70000).reshape(7, -1), '69,999 regions, and uint16'),
    (np.ones(4, int), 'one integer per pixel'),
    (np.ones((4, 4)), 'one integer per pixel'),
])
def test_what_is_no_id_map_is_refused(ids, message):
    with pytest.raises(FrameError, match=message):
        check_region_map(ids, 'x')


def test_uint16_holds_65535_regions():
    ids = np.arange(65536).reshape(256, 256)
    assert check_region_map(ids, 'x').max() == 65535


def test_a_truncated_png_is_refused():
    content = encode_region_map(np.arange(2500).reshape(50, 50))
    with pytest.raises(FrameError, match='x is not a readable image'):
        decode_region_map(content[:-200], 'x')


def test_a_folder_is_read_by_frame(tmp_path):
    for scan, frame in (('b', '1'), ('a', '2'), ('a', '1')):
        path = tmp_path / scan / f'{frame}.png'
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_region_map(np.full((2, 3), 1)))
    (tmp_path / 'records').mkdir()
    maps = RegionMaps(tmp_path)
    assert maps.scans() == ['a', 'b']
    assert maps.frames('a') == ['1', '2']
    assert maps.read('a', '2').shape == (2, 3)
    with pytest.raises(FrameError, match='3.png is missing; run tools'):
        maps.read('a', '3')
