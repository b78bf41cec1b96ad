"""The raw text files, with the flaws that the release has."""
import numpy as np
import pytest

from sam3d_plugin.preparation.sources.s3dis import raw
from sam3d_plugin.preparation.sources.s3dis.raw import (CLASSES, Flaws,
                                                        check_total,
                                                        find_rooms,
                                                        parse_points,
                                                        read_room)
from sam3d_plugin.store.errors import FrameError, StoreError

GOOD = b'-22.350 6.692 3.048 185 187 182\n0 1 2 3 4 5\n1.5 0 0 255 0 0\n'


def parse(content):
    flaws = Flaws()
    return parse_points(content, 'room/x.txt', flaws), flaws


def test_six_numbers_in_a_line():
    points, flaws = parse(GOOD)
    np.testing.assert_array_equal(points,
                                  [[-22.35, 6.692, 3.048, 185, 187, 182],
                                   [0, 1, 2, 3, 4, 5], [1.5, 0, 0, 255, 0, 0]])
    assert flaws == Flaws()


@pytest.mark.parametrize('content', [
    GOOD.replace(b'185 187', b'185\x10187'),
    GOOD.replace(b'185 ', b'18\x105 '),
    GOOD.replace(b'6.692', b'\x006.692'),
    GOOD.replace(b'185 187', b'185\x1a 187'),
])
def test_a_control_character_is_mended_and_counted(content):
    points, flaws = parse(content)
    np.testing.assert_array_equal(points, parse(GOOD)[0])
    assert flaws == Flaws(control_characters=1)


@pytest.mark.parametrize('content', [
    GOOD.replace(b'\n', b'\r\n'),
    GOOD.replace(b'\n', b'\n\n'),
    GOOD.rstrip(),
    GOOD.replace(b' ', b'\t'),
    GOOD.replace(b' ', b'  '),
])
def test_other_white_space_is_no_flaw(content):
    points, flaws = parse(content)
    np.testing.assert_array_equal(points, parse(GOOD)[0])
    assert flaws == Flaws()


@pytest.mark.parametrize('line', [
    b'1 2 3 4 5', b'1 2 3 4 5 6 7', b'1 2 x 4 5 6', b'1 2 nan 4 5 6',
    b'1 2 inf 4 5 6', b'1 2 3 4 5 256', b'1 2 3 -1 5 6'
])
def test_a_line_that_is_no_point_is_dropped_and_named(line):
    points, flaws = parse(GOOD + line + b'\n' + GOOD)
    assert len(points) == 6
    assert flaws == Flaws(dropped_lines=['room/x.txt:4'])


def test_a_file_of_such_lines_is_refused():
    with pytest.raises(FrameError, match='room/x.txt:1 and 1 more lines'):
        parse(b'1 2 3\n1 2\n' + GOOD)
    with pytest.raises(FrameError, match='room/x.txt:1 and 0 more'):
        parse(b'<html>')
    # One in a thousand is still within the limit.
    assert len(parse(GOOD * 1000 + b'x\ny\nz\n')[0]) == 3000


def test_an_empty_file_is_a_flaw():
    for content in (b'', b' \n\n'):
        points, flaws = parse(content)
        assert points.shape == (0, 6)
        assert flaws == Flaws(empty_files=['room/x.txt'])


def write_room(folder, **files):
    (folder / 'Annotations').mkdir(parents=True)
    for name, content in files.items():
        (folder / 'Annotations' / f'{name}.txt').write_bytes(content)


def test_a_room_takes_files_in_the_order_of_their_names(tmp_path):
    write_room(
        tmp_path / 'Area_6/copyRoom_1',
        wall_1=GOOD,
        chair_2=b'5 5 5 1 1 1\n',
        stairs_1=GOOD[:-4],
        sofaa_1=b'6 6 6 1 1 1\n',
        table_1=b'')
    (tmp_path / 'Area_6/copyRoom_1/Annotations/Icon').write_bytes(b'?')
    room = read_room(tmp_path / 'Area_6/copyRoom_1')
    assert room.instance.tolist() == [1, 2, 3, 3, 4, 4, 4]
    names = [CLASSES[i] for i in room.semantic]
    assert names == ['chair', 'clutter', 'clutter', 'clutter'] + 3 * ['wall']
    np.testing.assert_array_equal(room.xyz[0], [5, 5, 5])
    assert room.flaws == Flaws(
        dropped_lines=['Area_6/copyRoom_1/Annotations/stairs_1.txt:3'],
        empty_files=['Area_6/copyRoom_1/Annotations/table_1.txt'],
        unknown_classes=['sofaa_1.txt'])


def test_a_room_without_points_is_refused(tmp_path):
    write_room(tmp_path / 'room', wall_1=b'')
    with pytest.raises(FrameError, match='no file with points'):
        read_room(tmp_path / 'room')


def test_rooms_are_found_in_the_release_and_above_it(tmp_path):
    release = tmp_path / raw.RELEASE
    for room in ('Area_1/office_1', 'Area_5/hallway_6', 'Area_9/office_1'):
        write_room(release / room)
    (release / 'Area_1/Area_1_alignmentAngle.txt').write_text('x')
    (release / 'Area_1/figures').mkdir()
    expected = ['Area_1_office_1', 'Area_5_hallway_6']
    assert list(find_rooms(tmp_path)) == expected
    rooms = find_rooms(release)
    assert list(rooms) == expected
    with pytest.raises(StoreError, match='2 rooms .1 in Area_1, 0 in'):
        check_total(rooms, release)
    check_total({str(i): '' for i in range(272)}, release)
    with pytest.raises(StoreError, match='Annotations; give the folder'):
        find_rooms(tmp_path / 'empty')


@pytest.mark.parametrize('factor', [1 / 255, 257])
def test_colors_of_another_scale_are_scaled_and_said(tmp_path, factor):
    colors = np.array([[185, 187, 182], [0, 128, 255]])
    rows = [
        ' '.join(map(str, (i, 0, 0, *color * factor)))
        for i, color in enumerate(colors)
    ]
    write_room(tmp_path / 'room', wall_1='\n'.join(rows).encode())
    room = read_room(tmp_path / 'room')
    np.testing.assert_allclose(room.rgb, colors, atol=1e-3)
    assert len(room.flaws.scaled_colors) == 1


@pytest.mark.parametrize('color', [b'1000 0 500', b'-0.5 0.5 1'])
def test_colors_of_no_known_scale_are_refused(tmp_path, color):
    write_room(tmp_path / 'room', wall_1=b'1 2 3 ' + color + b'\n')
    with pytest.raises(FrameError):
        read_room(tmp_path / 'room')


def test_files_that_are_something_else(tmp_path):
    write_room(tmp_path / 'room', wall_1=b'version https://git-lfs.github')
    with pytest.raises(FrameError, match='git-lfs'):
        read_room(tmp_path / 'room')


def test_a_dark_room_is_dark(tmp_path):
    write_room(tmp_path / 'room', wall_1=b'0 0 0 9 8 7\n1 0 0 9 8 2\n')
    room = read_room(tmp_path / 'room')
    assert room.rgb.tolist() == [[9, 8, 7], [9, 8, 2]]
    assert not room.flaws.scaled_colors
