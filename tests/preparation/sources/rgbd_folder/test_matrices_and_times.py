import numpy as np
import pytest

from sam3d_plugin.preparation.sources.rgbd_folder.matrices import (
    read_intrinsics, read_numbers, rotation_to_z)
from sam3d_plugin.preparation.sources.rgbd_folder.timestamps import associate
from sam3d_plugin.preparation.sources.scans import UP_AXES
from sam3d_plugin.store.errors import StoreError


def slow_pairs(first, second, max_difference):
    """As the benchmark's page describes it: all pairs, best first."""
    close = sorted((abs(a - b), i, j) for i, a in enumerate(first)
                   for j, b in enumerate(second)
                   if abs(a - b) < max_difference)
    pairs = {}
    for _, i, j in close:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


@pytest.mark.parametrize('seed', range(5))
def test_association_agrees_with_all_pairs(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.uniform(0, 2, 60), rng.uniform(0, 2, 50)
    pairs = associate(list(first), list(second), 0.02)
    assert pairs == slow_pairs(first, second, 0.02)
    assert 20 < len(pairs) < 50


def test_nothing_pairs_with_nothing():
    assert associate([], [1.0], 0.02) == {}
    assert associate([1.0], [], 0.02) == {}
    assert associate([1.0], [1.02], 0.02) == {}


@pytest.mark.parametrize('axis', UP_AXES)
def test_axes_are_turned_as_scans_are(axis):
    up = np.eye(3)['xyz'.index(axis[-1])] * (-1 if axis[0] == '-' else 1)
    turn = rotation_to_z(3 * up)
    np.testing.assert_allclose(turn @ up, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_any_direction_becomes_z():
    for up in np.random.default_rng(0).normal(size=(20, 3)):
        turn = rotation_to_z(up)
        np.testing.assert_allclose(
            turn @ up, [0, 0, np.linalg.norm(up)], atol=1e-12)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)


def test_intrinsics_of_all_forms(tmp_path):
    expected = [[5, 0, 3], [0, 6, 4], [0, 0, 1]]
    four = tmp_path / 'four.txt'
    four.write_text('# fx fy cx cy\n5 6 3 4  # pixels\n')
    large = np.eye(4)
    large[:3, :3] = expected
    np.savetxt(tmp_path / 'large.txt', large)
    for value in ('5,6,3,4', '5,0,3,0,6,4,0,0,1', str(four),
                  str(tmp_path / 'large.txt')):
        np.testing.assert_allclose(read_intrinsics(value), expected)
    for value in ('-5,6,3,4,0,0', '5,1,3,0,6,4,0,0,1'):
        with pytest.raises(StoreError, match='intrinsics'):
            read_intrinsics(value)


def test_words_in_a_file_of_numbers_are_refused(tmp_path):
    (tmp_path / 'words.txt').write_text('5 6 tx -0.03')
    with pytest.raises(StoreError, match='tx'):
        read_numbers(str(tmp_path / 'words.txt'))
    with pytest.raises(StoreError, match='not finite'):
        read_numbers('1,nan')
