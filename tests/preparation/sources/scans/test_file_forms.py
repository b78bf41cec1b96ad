"""Scans in every form of file that programs write, and files that are none."""
import json

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

from sam3d_plugin.preparation.sources.scans.box_readers import FRAME
from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 read_scan)
from sam3d_plugin.visualization.ply import write_ply
from tests.preparation.sources.scans.test_scan_readers import (PLAIN,
                                                               check_equals,
                                                               write_npz)

COMMENT = 'erzeugt von Jörg · Δοκιμή'


def _edit_ply(path, edit):
    path.write_bytes(edit(path.read_bytes()))
    return read_scan(path, PLAIN)


@pytest.mark.parametrize('encoding', ['utf-8', 'latin-1', 'cp1253', 'utf-16'])
@pytest.mark.parametrize('text', [False, True])
def test_comments_in_any_encoding(tmp_path, rooms, room, encoding, text):
    rooms.write_ply(tmp_path / 'a.ply', room, text=text)
    comment = b'comment ' + COMMENT.encode(encoding, 'replace').replace(
        b'\n', b'').replace(b'\r', b'') + b'\n'
    scan = _edit_ply(
        tmp_path / 'a.ply', lambda content: content.replace(
            b'element vertex', comment + b'element vertex', 1))
    check_equals(scan, room)


@pytest.mark.parametrize(
    'edit', [
        lambda content: b'\xef\xbb\xbf' + content,
        lambda content: content.replace(b'\n', b'\r\n'),
        lambda content: content.replace(
            b'property double x', b'property double X').replace(
                b'property float x', b'property float X'),
    ],
    ids=['byte order mark', 'line ends', 'upper case'])
def test_texts_as_other_programs_write_them(tmp_path, rooms, room, edit):
    rooms.write_ply(tmp_path / 'a.ply', room, text=True)
    check_equals(_edit_ply(tmp_path / 'a.ply', edit), room)


def test_decimal_commas(tmp_path, rooms, room):
    rooms.write_ply(tmp_path / 'a.ply', room, text=True)

    def edit(content):
        header, end, body = content.partition(b'end_header\n')
        return header + end + body.replace(b'.', b',')

    check_equals(_edit_ply(tmp_path / 'a.ply', edit), room)


@pytest.mark.parametrize('spelling', [
    '1.#QNAN', '-1.#IND', '1.#INF', '-1.#IND00', 'nan(ind)', '-nan(ind)',
    'NaN', 'inf', '-nan', 'nan(snan)', 'nan(0x8000000000000)', 'null', 'None',
    'N/A'
])
def test_every_spelling_of_nan_is_an_invalid_point(tmp_path, spelling):
    rows = [f'{i / 100} {i % 7} {i % 3} 1 2 3' for i in range(500)]
    rows[3] = f'{spelling} 1 2 1 2 3'
    names = ('float x', 'float y', 'float z', 'uchar red', 'uchar green',
             'uchar blue')
    path = tmp_path / 'a.ply'
    path.write_text('\n'.join([
        'ply', 'format ascii 1.0', 'element vertex 500',
        *(f'property {name}' for name in names), 'end_header', *rows, ''
    ]))
    with pytest.raises(ScanError, match='1 points.*--drop-invalid'):
        read_scan(path, PLAIN)
    scan = read_scan(path, ReadOptions(drop_invalid=True))
    assert len(scan.xyz) == 499


def _write_text(path, rooms, room, edit):
    rooms.write_ply(path, room, text=True)
    header, end, body = path.read_bytes().partition(b'end_header\n')
    path.write_bytes(edit(header, end, body))
    return path


@pytest.mark.parametrize(
    'edit', [
        lambda header, end, body:
        (header + end + body).decode().encode('utf-16'),
        lambda header, end, body: (header + end + body).replace(b'\n', b'\r'),
        lambda header, end, body:
        (header + end + body).replace(b'\n', b'  \n'),
        lambda header, end, body: (header + end + body).replace(b' ', b'\t'),
        lambda header, end, body: header + end + body + b'\n \n',
        lambda header, end, body: header + end + b'\n' + body,
        lambda header, end, body: header.replace(b'element', b'\nelement', 1) +
        end + body.replace(b'\n', b'\n\n', 5),
        lambda header, end, body: b'\n' + header.replace(b'ply', b'PLY'
                                                         ) + end + body,
    ],
    ids=[
        'utf-16', 'cr', 'trailing blanks', 'tabs', 'empty lines at the end',
        'one before the rows', 'empty lines', 'one before all'
    ])
def test_white_space_of_every_kind(tmp_path, rooms, room, edit):
    path = _write_text(tmp_path / 'a.ply', rooms, room, edit)
    check_equals(read_scan(path, PLAIN), room)


def _rows(body):
    return body.splitlines(keepends=True)


@pytest.mark.parametrize('edit, message', [
    (lambda rows: rows[:9] + [b'1 2 3\n'] + rows[10:], 'row is too short'),
    (lambda rows: rows + [rows[0]], '1 rows more than its header'),
    (lambda rows: [rows[0].replace(b' ', b',')] + rows[1:], 'commas'),
    (lambda rows: [b'1,234.5' + rows[0][rows[0].index(b' '):]] + rows[1:],
     'commas'),
    (lambda rows: rows[:9] + [b'# half\n'] + rows[9:], 'malformed'),
])
def test_rows_that_are_wrong_are_not_called_truncated(tmp_path, rooms, room,
                                                      edit, message):
    path = _write_text(
        tmp_path / 'a.ply', rooms, room,
        lambda header, end, body: header + end + b''.join(edit(_rows(body))))
    with pytest.raises(ScanError, match=message) as error:
        read_scan(path, PLAIN)
    assert 'truncated' not in str(error.value)


@pytest.mark.parametrize('size, message', [(40, 'truncated'),
                                           (-700, 'truncated')])
def test_what_ends_too_early_is_called_truncated(tmp_path, rooms, room, size,
                                                 message):
    rooms.write_ply(tmp_path / 'a.ply', room, text=True)
    content = (tmp_path / 'a.ply').read_bytes()
    (tmp_path / 'a.ply').write_bytes(content[:size])
    with pytest.raises(ScanError, match=message):
        read_scan(tmp_path / 'a.ply', PLAIN)


@pytest.mark.parametrize('content, word', [
    (b'<html></html>', 'web page'),
    (b'\x1f\x8b' + bytes(99), 'gzip'),
    (b'PK\x03\x04' + bytes(99), 'zip archive'),
    (b'\x93NUMPY' + bytes(99), 'savez'),
    (b'ply\nformat', 'PLY|truncated'),
    (b'# .PCD v0.7', 'PCD'),
    (bytes(999), 'all zeros'),
    (b'solid room', 'cannot be read'),
])
@pytest.mark.parametrize('name', ['a.ply', 'a.npz'])
def test_other_files_are_named_for_what_they_are(tmp_path, content, word,
                                                 name):
    (tmp_path / name).write_bytes(content)
    if name == 'a.npz' and content[:2] == b'PK':
        word = 'truncated'
    with pytest.raises(ScanError, match=word) as error:
        read_scan(tmp_path / name, PLAIN)
    if 'truncated' not in word:
        assert 'truncated' not in str(error.value)


def test_bytes_that_a_transfer_as_text_has_changed(tmp_path, rooms, room):
    rooms.write_ply(tmp_path / 'a.ply', room)
    with pytest.raises(ScanError, match='binary mode'):
        _edit_ply(tmp_path / 'a.ply',
                  lambda content: content.replace(b'\n', b'\r\n'))


def test_rows_behind_the_last_one_of_a_binary_file(tmp_path, rooms, room):
    rooms.write_ply(tmp_path / 'a.ply', room)
    with pytest.raises(ScanError, match='rows more'):
        _edit_ply(tmp_path / 'a.ply', lambda content: content + content[-500:])
    rooms.write_ply(tmp_path / 'a.ply', room)
    check_equals(
        _edit_ply(tmp_path / 'a.ply', lambda content: content + b'\n'), room)


def test_colors_of_faces_are_listed(tmp_path, room):
    vertices = np.empty(2900, [(axis, 'f4') for axis in 'xyz'])
    for i, axis in enumerate('xyz'):
        vertices[axis] = room['xyz'][:, i]
    faces = np.zeros(2, [('vertex_indices', 'i4', (3, )), ('red', 'u1')])
    PlyData([
        PlyElement.describe(vertices, 'vertex'),
        PlyElement.describe(faces, 'face')
    ]).write(str(tmp_path / 'a.ply'))
    notes = read_scan(tmp_path / 'a.ply', PLAIN).notes
    assert any('no colors (it has face.red)' in note for note in notes)


@pytest.mark.parametrize('field', ['instance', 'region'])
@pytest.mark.parametrize('none', [-100, 2**31, 2**32])
def test_more_marks_for_none(tmp_path, room, field, none):
    """2**32 is what float32 makes of the largest uint32."""
    ids = np.where(np.arange(2900) < 100, none, room[field])
    scan = read_scan(
        write_npz(tmp_path / 'a.npz', room, **{field: ids.astype(np.float64)}),
        PLAIN)
    found = scan.instance if field == 'instance' else scan.regions
    assert np.array_equal(found, np.where(ids == none, 0, ids + 1))
    assert any(str(none) in note for note in scan.notes)


@pytest.mark.parametrize('field', ['instance', 'region', 'semantic'])
def test_ids_as_floats_with_noise(tmp_path, room, field):
    path = write_npz(tmp_path / 'a.npz', room,
                     **{field: room[field] * .99999994})
    check_equals(read_scan(path, PLAIN), room)
    path = write_npz(tmp_path / 'a.npz', room, **{field: room[field] + .5})
    with pytest.raises(ScanError, match='integers'):
        read_scan(path, PLAIN)


def test_ids_that_may_have_wrapped(tmp_path, room):
    ids = (np.arange(2900) % 300).astype(np.uint8)
    scan = read_scan(write_npz(tmp_path / 'a.npz', room, instance=ids), PLAIN)
    assert any('wrapped' in note for note in scan.notes)


def test_our_boxes_stay_in_metres_with_z_up(tmp_path, rooms, room):
    """tools/predict.py states its frame, whatever the scan's units are."""
    boxes = rooms.boxes(room)
    rooms.write_json_boxes(tmp_path / 'a.boxes.json', boxes)
    found = json.loads((tmp_path / 'a.boxes.json').read_text())
    found = dict(found, frame=FRAME)
    (tmp_path / 'a.boxes.json').write_text(json.dumps(found))
    x, y, z = 1000 * room['xyz'].T
    path = write_npz(tmp_path / 'a.npz',
                     dict(room, xyz=np.stack([x, z, -y], 1)))
    scan = read_scan(path, ReadOptions(scale=.001, up='y'))
    assert np.allclose(scan.xyz, room['xyz'], atol=1e-5)
    assert np.allclose(scan.boxes, boxes[:, :6])


def test_boxes_drawn_as_points_are_no_points(tmp_path, room):
    edges = np.zeros((40, 3)) + np.arange(40)[:, None] / 10
    write_ply(
        tmp_path / 'a.ply',
        np.concatenate([room['xyz'], edges]),
        np.concatenate([room['rgb'], np.zeros((40, 3), np.uint8)]),
        num_edges=40)
    scan = read_scan(tmp_path / 'a.ply', PLAIN)
    assert np.array_equal(scan.xyz, room['xyz'])
    assert np.array_equal(scan.rgb, room['rgb'])


@pytest.mark.parametrize('name', ['chair ', 'Chair', 5.0, '5'])
def test_class_names_of_boxes(tmp_path, room, name):
    box = {'class': name, 'center': [1.25, 1.25, .5], 'size': [1, 1, 1]}
    (tmp_path / 'a.boxes.json').write_bytes(json.dumps([box]).encode('utf-16'))
    scan = read_scan(write_npz(tmp_path / 'a.npz', room), PLAIN)
    assert scan.box_classes.tolist() == [5]
