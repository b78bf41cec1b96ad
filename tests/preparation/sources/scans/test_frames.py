from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scans import UP_AXES, frames
from sam3d_plugin.preparation.sources.scans.frames import (check_units,
                                                           check_up_axis,
                                                           move_near_origin,
                                                           read_axis_align,
                                                           to_meters_z_up)
from sam3d_plugin.preparation.sources.scans.scan import Scan, ScanError
from tests.preparation.box_room import cloud

# What each file axis becomes when the named axis is turned up.
TURNS = {
    'z': lambda x, y, z: (x, y, z),
    'y': lambda x, y, z: (x, z, -y),
    'x': lambda x, y, z: (z, y, -x),
    '-y': lambda x, y, z: (x, -z, y),
    '-x': lambda x, y, z: (-z, y, x),
    '-z': lambda x, y, z: (x, -y, -z),
}


def make_scan(xyz, **more):
    return Scan('a', Path('a.ply'), np.asarray(xyz, float), np.zeros((1, 3)),
                more.pop('axis_align', np.eye(4)), **more)


def lay_down(xyz, up):
    """Write a z-up cloud in a frame where another axis points up."""
    return np.stack(TURNS[up](*np.asarray(xyz, float).T), axis=1)


@pytest.mark.parametrize('up', UP_AXES)
def test_turning_up_undoes_the_frame(up):
    xyz = np.array([[1, 2, 3.], [-4, 5, 6]])
    box = np.array([[1, 2, 3, 4, 5, 6.]])
    laid = np.hstack([lay_down(box[:, :3], up), abs(lay_down(box[:, 3:], up))])
    scan = make_scan(lay_down(xyz, up) * 1000, boxes=laid * 1000)
    scan = to_meters_z_up(scan, 0.001, up)
    assert np.allclose(scan.xyz, xyz)
    assert np.allclose(scan.boxes, box)


@pytest.mark.parametrize('up', ['x', '-x', 'y', '-y', '-z'])
def test_a_room_that_lies_is_noticed(up):
    with pytest.raises(ScanError, match=f'a.ply.*--up={up} '):
        check_up_axis(make_scan(lay_down(cloud(), up)))


def test_upright_rooms_raise_no_alarm(room):
    check_up_axis(make_scan(room['xyz']))
    rng = np.random.default_rng(0)
    for extents in ((4, 3, 2.5), (1.5, 20, 3), (20, 2, 3), (1, 1, 2)):
        check_up_axis(make_scan(rng.uniform(0, extents, (2000, 3))))
    scan = make_scan(np.zeros((1, 3)))
    check_up_axis(scan)
    assert '--up' in scan.notes[0]


def test_lengths_tell_where_the_floor_does_not():
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0, (6, 5, 2.5), (4000, 3))
    upright = make_scan(xyz)
    check_up_axis(upright)
    assert not upright.notes
    with pytest.raises(ScanError, match='be 5.8 m high, but is 2.4 m along y'):
        check_up_axis(make_scan(xyz[:, [1, 2, 0]]))
    hall = make_scan(xyz[:, [1, 2, 0]] * 2)
    check_up_axis(hall)
    assert 'cannot tell' in hall.notes[0]


@pytest.mark.parametrize('factor, hint', [
    (1000, r'--scale 0.001 \(millimeters\)'),
    (100, r'--scale 0.01 \(centimeters\)'),
    (1 / 0.0254, r'--scale 0.0254 \(inches\)'),
    (0.01, '--scale'),
])
def test_units_are_guessed(factor, hint):
    with pytest.raises(ScanError, match=f'a.ply: extent .*{hint}'):
        check_units(make_scan(cloud() * factor))
    check_units(make_scan(cloud()))


def test_a_size_that_no_room_has_is_noted():
    scan = make_scan(cloud() * 0.001)
    frames.note_size(scan)
    assert 'm at --scale 1, which no room has' in scan.notes[0]
    scan = make_scan(cloud())
    frames.note_size(scan)
    assert not scan.notes


def test_a_stray_point_is_no_unit():
    xyz = np.concatenate([cloud(), [[0, 0, 480]]])
    with pytest.raises(ScanError, match='1 of 2.* 480 m'):
        check_units(make_scan(xyz))


def test_many_far_points_are_no_unit():
    xyz = cloud()
    xyz[::20, 2] = np.random.default_rng(0).uniform(-1100, -900, 1000)
    with pytest.raises(ScanError, match='1,000 of 20,000 points') as error:
        check_units(make_scan(xyz))
    assert '(millimeters)' not in str(error.value)


def test_a_room_in_feet_is_a_doubt():
    scan = make_scan(cloud() / 0.3048)
    check_units(scan)
    assert '--scale 0.3048' in scan.notes[0]


def test_alignment_lies_beside_the_scan(tmp_path):
    matrix = np.array([[0, -1, 0, 2], [1, 0, 0, 3], [0, 0, 1, 4.],
                       [0, 0, 0, 1]])
    text = ' '.join(map(str, matrix.ravel()))
    (tmp_path / 'a_axis_align.txt').write_text(f'axisAlignment = {text}\n')
    notes = []
    found = read_axis_align(tmp_path / 'a.ply', {}, notes)
    assert np.array_equal(found, matrix) and len(notes) == 1
    scan = make_scan([[1000, 0, 0]], axis_align=found)
    with pytest.raises(ScanError, match='combined with --up y'):
        to_meters_z_up(scan, 1.0, 'y')
    scan = to_meters_z_up(scan, 0.001, 'z')
    assert np.allclose(scan.aligned_xyz, [[0.002, 1.003, 0.004]])


@pytest.mark.parametrize('text', ['1 2 3', 'x ' * 16, '2 ' * 16])
def test_bad_alignments_are_named(tmp_path, text):
    (tmp_path / 'a_axis_align.txt').write_text(text)
    with pytest.raises(ScanError, match='a_axis_align.txt'):
        read_axis_align(tmp_path / 'a.ply', {}, [])


@pytest.mark.parametrize('scale', [0, -1, np.nan, np.inf])
def test_scale_is_positive(scale):
    with pytest.raises(ScanError, match='--scale'):
        to_meters_z_up(make_scan([[0, 0, 0]]), scale, 'z')


@pytest.mark.parametrize('shift', [np.zeros(3), np.array([2e5, 3e6, 40])])
@pytest.mark.parametrize('turn', [0., .7])
def test_large_offsets_leave_before_rounding(shift, turn):
    """Whether the alignment takes them out or not, boxes keep their place."""
    rng = np.random.default_rng(0)
    axis_align = np.eye(4)
    axis_align[:2, :2] = [[np.cos(turn), -np.sin(turn)],
                          [np.sin(turn), np.cos(turn)]]
    utm = np.array([451234.7, 5411876.46, 312.19])
    axis_align[:3, 3] = shift * (shift > 0) - axis_align[:3, :3] @ utm
    scan = Scan('a', Path('a'),
                rng.uniform(-2, 2, (99, 3)) + utm, np.zeros((99, 3)),
                axis_align)
    scan.boxes = np.append(scan.aligned_xyz[:1], [[1, 1, 1]], axis=1)
    moved = move_near_origin(scan)
    assert np.abs(moved.xyz).max() < 5 and np.abs(moved.aligned_xyz).max() < 5
    assert np.array_equal(moved.xyz + moved.offset, scan.xyz)
    assert np.allclose(
        moved.aligned_xyz + moved.aligned_offset, scan.aligned_xyz, atol=1e-6)
    assert np.allclose(moved.boxes[0, :3], moved.aligned_xyz[0], atol=1e-6)
    assert any('float32' in note for note in moved.notes)


def test_rooms_near_the_origin_stay():
    scan = Scan('a', Path('a'), np.full((9, 3), 900.), np.zeros((9, 3)),
                np.eye(4))
    assert move_near_origin(scan) is scan
