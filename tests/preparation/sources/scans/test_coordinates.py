"""Coordinates keep their decimals, or are refused where they have none."""
import io

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scans.frames import (check_rounding,
                                                           check_units,
                                                           find_step,
                                                           read_axis_align)
from sam3d_plugin.preparation.sources.scans.import_scans import (ImportOptions,
                                                                 prepare_scan)
from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 read_scan)

UTM = np.array([451234.7, 5411876.46, 312.2])


@pytest.fixture
def imported(tmp_path, rooms, room):
    """Import the room with other coordinates."""

    def call(xyz, ending='npz', **options):
        changed = dict(room, xyz=np.asarray(xyz))
        path = tmp_path / f'a.{ending}'
        if ending == 'npz':
            np.savez(path, **changed)
        else:
            rooms.write_ply(path, changed, text=options.pop('text', False))
        return prepare_scan(path, ImportOptions(tmp_path, tmp_path, **options))

    return call


@pytest.mark.parametrize(
    'offset',
    [UTM, -UTM, [0, 0, 2500.5], [4177000, 855000.25, 4727000], [2e6, 0, 0]])
@pytest.mark.parametrize('form', [
    dict(ending='npz'),
    dict(ending='ply'),
    dict(ending='ply', text=True),
])
def test_far_points_come_back_exactly(imported, room, offset, form):
    xyz = room['xyz'].astype(np.float64) + offset
    scan = imported(xyz, **form)
    assert np.abs(scan.xyz).max() < 10
    stored = scan.xyz.astype(np.float32).astype(np.float64) + scan.offset
    np.testing.assert_allclose(stored, xyz, rtol=0, atol=1e-6)
    assert any('moved by' in note for note in scan.notes)


@pytest.mark.parametrize(
    'rounded', [
        lambda xyz: (xyz + UTM).astype(np.float32),
        lambda xyz: (xyz + UTM).astype(np.float32).astype(np.float64),
        lambda xyz: np.round(xyz),
        lambda xyz: np.round(xyz).astype(np.int32),
        lambda xyz: np.vectorize(lambda x: float(f'{x:g}'))(xyz + UTM),
        lambda xyz: np.round(xyz + UTM, 1),
    ],
    ids=[
        'float32', 'float32 as double', 'whole', 'integers', 'six digits',
        'one decimal'
    ])
def test_lost_decimals_are_refused(imported, room, rounded):
    with pytest.raises(ScanError, match='rounded to steps of'):
        imported(rounded(room['xyz'].astype(np.float64)))


def test_scarce_decimals_are_a_note(imported, room):
    scan = imported((room['xyz'] + [50000, 0, 0]).astype(np.float32))
    assert any('steps of 0.0039 m' in note for note in scan.notes)
    assert not any('steps' in note for note in imported(room['xyz']).notes)


def test_whole_millimetres_are_fine(imported, room):
    millimeters = np.round(room['xyz'] * 1000).astype(np.int32)
    with pytest.raises(ScanError, match='--scale 0.001'):
        imported(millimeters)
    scan = imported(millimeters, scale=.001)
    assert not any('steps' in note for note in scan.notes)


def test_a_wall_at_a_whole_number_says_nothing(room):
    xyz = room['xyz'].astype(np.float64)
    assert xyz[:, 0].min() == 0
    assert find_step(xyz, 1.) < 1e-6
    assert find_step(xyz[:20].round(), 1.) == 0  # too few to tell


def test_degrees_are_no_metres(imported, room):
    degrees = room['xyz'] * [1e-5, 1e-5, 1] + np.array([11.5, 48.1, 500])
    with pytest.raises(ScanError, match='degrees'):
        imported(degrees)


def test_an_offset_in_a_comment_is_said(tmp_path, rooms, room):
    rooms.write_ply(tmp_path / 'a.ply', room)
    content = (tmp_path / 'a.ply').read_bytes()
    comment = b'comment offset 451234.7 5411876.46 312.2\nelement'
    (tmp_path / 'a.ply').write_bytes(content.replace(b'element', comment, 1))
    notes = read_scan(tmp_path / 'a.ply', ReadOptions()).notes
    assert any('offset 451234.7' in note for note in notes)


def test_columns_of_an_npz(tmp_path, room):
    xyz, rgb = room['xyz'], room['rgb']
    np.savez(tmp_path / 'a.npz', **dict(zip('xyz', xyz.T)),
             **dict(zip(('red', 'green', 'blue'), rgb.T)))
    scan = read_scan(tmp_path / 'a.npz', ReadOptions())
    assert np.array_equal(scan.xyz, xyz) and np.array_equal(scan.rgb, rgb)


@pytest.mark.parametrize('noise', [-6e-8, 3e-5])
@pytest.mark.parametrize('digits', [3, 17])
def test_rounding_noise_in_an_alignment(tmp_path, noise, digits):
    """mmdet3d compares with 0 and 1, and wants a determinant of 1."""
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(.3), -np.sin(.3)], [np.sin(.3), np.cos(.3)]]
    matrix[0, 3] = 2.5
    text = io.StringIO()
    np.savetxt(text, np.round(matrix, digits) + noise * (matrix == np.eye(4)))
    (tmp_path / 'a_axis_align.txt').write_text(text.getvalue())
    found = read_axis_align(tmp_path / 'a.ply', {}, [])
    np.testing.assert_allclose(found, matrix, rtol=0, atol=1e-3)
    assert np.isclose(np.linalg.det(found[:3, :3]), 1)
    assert found[2, :3].tolist() == [0, 0, 1] and found[3, 3] == 1
    assert (found[:2, 2] == 0).all()


def test_checks_say_nothing_of_a_room(imported, room):
    scan = imported(room['xyz'])
    check_rounding(scan)
    check_units(scan)
    assert scan.step < 1e-6


def test_alignment_in_a_scans_own_text_file(tmp_path):
    numbers = ' '.join(map(str, np.eye(4).ravel()))
    (tmp_path / 'a_axis_align.txt').write_text(
        f'sceneType = Lounge\naxisAlignment = {numbers}\ncolorWidth = 1296\n')
    found = read_axis_align(tmp_path / 'a.ply', {}, [])
    assert np.array_equal(found, np.eye(4))
