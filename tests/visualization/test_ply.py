"""Coloured points as PLY, read back with plyfile."""
import numpy as np
import pytest
from plyfile import PlyData

from sam3d_plugin.visualization.ply import write_ply

POINTS = np.random.default_rng(0).normal(size=(20, 3))
COLORS = np.arange(60, dtype=np.uint8).reshape(20, 3)


@pytest.mark.parametrize('ids', [None, np.arange(20) * 1000])
def test_what_is_written_is_read_back(tmp_path, ids):
    path = tmp_path / 'new' / 'points.ply'
    write_ply(path, POINTS, COLORS, ids)
    ply = PlyData.read(path)
    assert not ply.text and ply.byte_order == '<'
    vertex = ply['vertex']
    xyz = np.stack([vertex[axis] for axis in 'xyz'], axis=1)
    np.testing.assert_array_equal(xyz, POINTS.astype(np.float32))
    rgb = np.stack([vertex[c] for c in ('red', 'green', 'blue')], axis=1)
    np.testing.assert_array_equal(rgb, COLORS)
    if ids is None:
        assert 'region' not in vertex.data.dtype.names
    else:
        np.testing.assert_array_equal(vertex['region'], ids)
    assert [p.name for p in path.parent.iterdir()] == ['points.ply']


@pytest.mark.parametrize('points, colors, ids, message', [
    (np.zeros((0, 3)), COLORS[:0], None, 'N >= 1'),
    (POINTS, COLORS[:3], None, '20 points came with colors'),
    (POINTS, COLORS, np.arange(3), '20 points came with 3 region ids'),
])
def test_wrong_arrays_are_refused(tmp_path, points, colors, ids, message):
    with pytest.raises(ValueError, match=message):
        write_ply(tmp_path / 'points.ply', points, colors, ids)
    assert not list(tmp_path.iterdir())


def test_points_far_from_the_origin_keep_their_place(tmp_path):
    points = POINTS + np.array([451234.7, 5411876.46, 312.19])
    write_ply(tmp_path / 'far.ply', points, COLORS)
    vertices = PlyData.read(str(tmp_path / 'far.ply'))['vertex']
    read = np.stack([vertices[axis] for axis in 'xyz'], axis=1)
    assert np.array_equal(read, points)
