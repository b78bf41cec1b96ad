import json

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 find_scans,
                                                                 read_scan)
from sam3d_plugin.visualization.ply import write_ply

PLAIN = ReadOptions()


def write_npz(path, room, **more):
    np.savez(path, **{**room, **more})
    return path


def check_equals(scan, room):
    assert np.array_equal(scan.xyz, room['xyz'])
    assert np.array_equal(scan.rgb, room['rgb'])
    assert np.array_equal(scan.semantic, room['semantic'])
    assert np.array_equal(scan.instance, room['instance'])
    assert np.array_equal(scan.regions, room['region'])


@pytest.mark.parametrize('form', [
    dict(text=True),
    dict(byte_order='<'),
    dict(byte_order='>'),
])
def test_every_ply_form_reads_the_same(tmp_path, rooms, room, form):
    rooms.write_ply(tmp_path / 'a.ply', room, **form)
    rooms.write_json_boxes(tmp_path / 'a.boxes.json', rooms.boxes(room))
    scan = read_scan(tmp_path / 'a.ply', PLAIN)
    check_equals(scan, room)
    assert np.array_equal(scan.boxes, rooms.boxes(room)[:, :6])
    assert scan.box_classes.tolist() == [5, 7]


def test_npz_reads_the_same(tmp_path, rooms, room):
    path = write_npz(tmp_path / 'a.npz', room, bbox=rooms.boxes(room))
    scan = read_scan(path, PLAIN)
    check_equals(scan, room)
    assert np.array_equal(scan.boxes, rooms.boxes(room)[:, :6])


def test_sam3d_groups_count_from_zero(tmp_path, room):
    groups = room.pop('region')
    path = write_npz(tmp_path / 'a.npz', room, sam3d_ensemble_group=groups)
    assert np.array_equal(read_scan(path, PLAIN).regions, groups + 1)


def test_region_key_chooses_the_array(tmp_path, room):
    path = write_npz(tmp_path / 'a.npz', room, mine=room['region'][::-1])
    scan = read_scan(path, ReadOptions(region_key='mine'))
    assert np.array_equal(scan.regions, room['region'][::-1])


def test_what_is_not_understood_is_noted(tmp_path, rooms, room):
    path = write_npz(tmp_path / 'a.npz', room, labels=room['semantic'])
    assert read_scan(path, PLAIN).notes == ['not used: labels']
    room['alpha'] = room['semantic']
    rooms.write_ply(tmp_path / 'a.ply', room)
    assert read_scan(tmp_path / 'a.ply', PLAIN).notes == ['not used: alpha']


def test_float_colors_are_stored_to_255(tmp_path, room):
    rgb = room['rgb'] / np.float32(255)
    scan = read_scan(
        write_npz(tmp_path / 'a.npz', {
            **room, 'rgb': rgb
        }), PLAIN)
    assert np.allclose(scan.rgb, room['rgb'], atol=1e-3)
    assert 'colors from 0 to 1' in scan.notes[0]


def test_invalid_points_leave_with_their_labels(tmp_path, room):
    room['xyz'][[3, 7]] = [[np.nan, 0, 0], [0, np.inf, 0]]
    path = write_npz(tmp_path / 'a.npz', room)
    with pytest.raises(ScanError, match=r'a.npz: 2 .* 2,900 .*--drop-inva'):
        read_scan(path, PLAIN)
    scan = read_scan(path, ReadOptions(drop_invalid=True))
    kept = {key: np.delete(value, [3, 7], 0) for key, value in room.items()}
    check_equals(scan, kept)


def test_colors_are_optional_and_said(tmp_path, rooms, room):
    rgb = room.pop('rgb')
    rooms.write_ply(tmp_path / 'a.ply', room)
    scan = read_scan(tmp_path / 'a.ply', PLAIN)
    assert (scan.rgb == 128).all() and 'mid-gray' in scan.notes[0]
    path = write_npz(tmp_path / 'b.npz', room, rgb=rgb * -1.)
    with pytest.raises(ScanError, match=r'--without-color'):
        read_scan(path, PLAIN)
    scan = read_scan(path, ReadOptions(without_color=True))
    assert (scan.rgb == 128).all() and 'mid-gray' in scan.notes[0]


@pytest.mark.parametrize('change, message', [
    (dict(xyz=np.zeros((0, 3))), 'holds no points'),
    (dict(xyz=np.zeros(5)), 'xyz has shape'),
    (dict(xyz=np.float32(1)), 'xyz has shape'),
    (dict(rgb=np.full((2900, 3), 300)), 'reach from 300'),
    (dict(rgb=np.full((2900, 3), 'x')), 'not numeric'),
    (dict(semantic=np.full(2900, 41)), 'semantic.* 41.*0 to 40'),
    (dict(semantic=np.full(2900, -1)), 'semantic.* -1'),
    (dict(semantic=np.ones(7, int)), r'semantic has shape \(7,\)'),
    (dict(instance=np.full(2900, .5)), 'integers'),
    (dict(region=np.full(2900, 2**24 + 1)), r'16777217 is over 2\^24'),
    (dict(region=np.ones(2901, int)), r'region has shape \(2901,\)'),
    (dict(region=np.array([{}] * 2900)), 'cannot be read'),
    (dict(bbox=np.ones((1, 6))), r'shape \(1, 6\)'),
    (dict(bbox=np.array([[0, 0, 0, 1, 1, 1, 40.]])), '40.*chair'),
    (dict(bbox=np.array([[0, 0, 0, 1, 0, 1, 5.]])), 'size positive'),
])
def test_bad_arrays_are_named(tmp_path, room, change, message):
    path = write_npz(tmp_path / 'a.npz', room, **change)
    with pytest.raises(ScanError, match=f'a.npz.*{message}'):
        read_scan(path, PLAIN)


def test_missing_coordinates_are_named(tmp_path):
    with pytest.raises(ScanError, match='a.npz has no coordinates'):
        read_scan(write_npz(tmp_path / 'a.npz', {}), PLAIN)


@pytest.mark.parametrize('name', ['a.npz', 'a.ply', 'ascii.ply', 'empty.npz'])
@pytest.mark.parametrize('share', [0.3, 0.9])
def test_truncated_files_are_named(tmp_path, rooms, room, name, share):
    path = tmp_path / name
    if name.endswith('npz'):
        write_npz(path, room)
    else:
        rooms.write_ply(path, room, text=name.startswith('ascii'))
    content = path.read_bytes()
    size = 0 if name.startswith('empty') else int(share * len(content))
    path.write_bytes(content[:size])
    with pytest.raises(ScanError, match=f'{name} cannot.*(truncated|empty)'):
        read_scan(path, PLAIN)


@pytest.mark.parametrize('content, message', [
    ('{"boxes": [{"cl', 'not a complete JSON'),
    ('{"box": 1}', 'no list of boxes'),
    ('[3]', 'box 0 is 3'),
    ('[{"class": "chair", "center": [0, 0, 0]}]', 'box 0'),
    ('[{"class": "chair", "bbox": [0, 0, 0, 1, "a", 1]}]', 'box 0'),
    ('[{"class": "lamp", "bbox": [0, 0, 0, 1, 1, 1]}]', "'lamp'.*chair"),
    ('[{"class": "chair", "bbox": [0, 0, 0, 1, NaN, 1]}]', 'finite'),
    ('[{"class": "chair", "bbox": [0, 0, 0, 1, 1, 1, 0.5]}]', 'turned by 0.5'),
])
def test_bad_box_files_are_named(tmp_path, room, content, message):
    path = write_npz(tmp_path / 'a.npz', room)
    (tmp_path / 'a.boxes.json').write_text(content)
    with pytest.raises(ScanError, match=f'a.boxes.json.*{message}'):
        read_scan(path, PLAIN)


@pytest.mark.parametrize('key', ['yaw', 'heading', 'rotation', 'rotation_z'])
@pytest.mark.parametrize('form', [
    dict(center=[1, 1, 1], size=[1, 1, 1]),
    dict(bbox=[1, 1, 1, 1, 1, 1]),
    dict(box=[1, 1, 1, 1, 1, 1, 0])
])
@pytest.mark.parametrize('turn, message', [(0, ''), (None, ''),
                                           ([0, 0, 0], ''),
                                           (1.57, 'turned by 1.57'),
                                           (-.2, 'turned by -0.2'),
                                           ([0, 0, .3], 'turned by 0.3'),
                                           (float('nan'), 'turned by nan'),
                                           ('90 deg', 'box 0'),
                                           ({
                                               'z': 1
                                           }, 'box 0')])
def test_turned_boxes_are_refused(tmp_path, room, key, form, turn, message):
    path = write_npz(tmp_path / 'a.npz', room)
    box = {'class': 'chair', **form, key: turn}
    (tmp_path / 'a.boxes.json').write_text(json.dumps([box]))
    if not message:
        assert read_scan(path, PLAIN).boxes.tolist() == [[1] * 6]
        return
    with pytest.raises(ScanError, match=f'a.boxes.json.*{message}'):
        read_scan(path, PLAIN)


def test_boxes_may_come_from_one_place_only(tmp_path, rooms, room):
    path = write_npz(tmp_path / 'a.npz', room, bbox=rooms.boxes(room))
    (tmp_path / 'a.boxes.json').write_text(json.dumps([]))
    with pytest.raises(ScanError, match='a.boxes.json and .*a.npz both'):
        read_scan(path, PLAIN)


def test_names_lose_the_endings_of_published_scans(tmp_path):
    for name in ('b_labelled.npz', 'a_vh_clean_2.ply', 'c.PLY', '._c.ply'):
        (tmp_path / name).touch()
    for name in ('b.boxes.json', '._b.boxes.json', 'b_axis_align.txt',
                 'a_vh_clean_2_axis_align.txt', '._b_axis_align.txt'):
        (tmp_path / name).touch()
    assert list(find_scans(tmp_path)) == ['a', 'b', 'c']


@pytest.mark.parametrize('beside', ['a', 'a{ending}', 'a{ending}.npz'])
@pytest.mark.parametrize('ending', ['', '_labelled', '_vh_clean_2'])
def test_alignments_are_named_like_the_file_or_the_scan(
        tmp_path, room, ending, beside):
    matrix = np.array([[0, -1, 0, 2], [1, 0, 0, 3], [0, 0, 1, 4.],
                       [0, 0, 0, 1]])
    path = write_npz(tmp_path / f'a{ending}.npz', room)
    assert not read_scan(path, PLAIN).is_aligned
    name = beside.format(ending=ending)
    np.savetxt(tmp_path / f'{name}_axis_align.txt', matrix)
    scan = read_scan(path, PLAIN)
    assert scan.is_aligned and np.array_equal(scan.axis_align, matrix)
    assert list(find_scans(tmp_path)) == ['a']


@pytest.mark.parametrize('names, more', [
    (('a_labelled', 'a'), {}),
    (('a', ), dict(axis_align_matrix=np.eye(4))),
    (('a_labelled', ), dict(xyz_aligned=np.random.rand(2900, 3))),
])
def test_alignments_may_come_from_one_place_only(tmp_path, room, names, more):
    path = write_npz(tmp_path / 'a_labelled.npz', room, **more)
    for name in names:
        np.savetxt(tmp_path / f'{name}_axis_align.txt', np.eye(4))
    with pytest.raises(ScanError, match='_axis_align.txt and .* both hold'):
        read_scan(path, PLAIN)


@pytest.mark.parametrize('files, message', [
    ((), 'holds no .npz, .ply'),
    (('a.npz', 'a.ply'), 'would both become scan a'),
    (('a.npz', 'b.boxes.json'), 'b.boxes.json belongs to no scan'),
    (('a.npz', 'b_axis_align.txt'), 'b_axis_align.txt belongs to no scan'),
    (('a_labelled.npz', 'a_vh_clean_2_axis_align.txt'), 'belongs to no scan'),
])
def test_bad_folders_are_named(tmp_path, files, message):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(ScanError, match=message):
        find_scans(tmp_path)
    with pytest.raises(ScanError, match='nowhere is not a folder'):
        find_scans(tmp_path / 'nowhere')


def test_ids_that_nyu40_does_not_have_become_unlabelled(tmp_path, room):
    semantic = room['semantic'].copy()
    semantic[:7] = [149, 50, -1, 255, 65535, 41, -100]
    scan = read_scan(
        write_npz(tmp_path / 'a.npz', room, semantic=semantic), PLAIN)
    assert (scan.semantic[:7] == 0).all()
    assert np.array_equal(scan.semantic[7:], room['semantic'][7:])
    assert any('7 points' in n and 'unlabeled' in n for n in scan.notes)


@pytest.mark.parametrize('field', ['instance', 'region'])
@pytest.mark.parametrize('none', [-1, 65535, 2**32 - 1, 255])
def test_ids_from_0_with_a_mark_for_none(tmp_path, room, field, none):
    ids = np.arange(2900) % 5
    ids[100:200] = none
    scan = read_scan(
        write_npz(tmp_path / 'a.npz', room, **{field: ids}), PLAIN)
    read = scan.regions if field == 'region' else scan.instance
    assert np.array_equal(read, np.where(ids == none, 0, ids + 1))
    assert any('none' in note and '100 points' in note for note in scan.notes)


@pytest.mark.parametrize('field', ['instance', 'region'])
@pytest.mark.parametrize('count, dtype', [(128, np.uint8), (150, np.uint8),
                                          (254, np.uint8), (150, np.int32),
                                          (40000, np.uint16)])
def test_more_ids_than_half_of_the_type(tmp_path, room, field, count, dtype):
    none = 65535 if dtype == np.uint16 else 255
    room = {
        key: np.resize(room[key], (41000, *room[key].shape[1:]))
        for key in ('xyz', 'rgb')
    }
    ids = np.arange(41000) % count
    ids[40500:] = none
    path = write_npz(tmp_path / 'a.npz', room, **{field: ids.astype(dtype)})
    scan = read_scan(path, PLAIN)
    read = scan.regions if field == 'region' else scan.instance
    assert np.array_equal(read, np.where(ids == none, 0, ids + 1))


@pytest.mark.parametrize('used, dtype', [([0, 7, 180, 255], np.uint8),
                                         ([0, *range(2, 254), 255], np.uint8),
                                         ([0, 9, 60000, 65535], np.uint16)])
def test_ids_that_may_mean_none_are_refused(tmp_path, room, used, dtype):
    ids = np.resize(used, 2900).astype(dtype)
    path = write_npz(tmp_path / 'a.npz', room, instance=ids)
    with pytest.raises(ScanError, match=f'instance id {used[-1]} may stand'):
        read_scan(path, PLAIN)
    room['instance'] = ids.astype(np.int32)
    if dtype == np.uint8:  # 255 is nothing special there
        assert np.array_equal(
            read_scan(write_npz(path, room), PLAIN).instance, ids)


def test_ids_with_0_for_none_stay(tmp_path, room):
    ids = np.arange(2900) % 256
    scan = read_scan(write_npz(tmp_path / 'a.npz', room, instance=ids), PLAIN)
    assert np.array_equal(scan.instance, ids) and not scan.notes


@pytest.mark.parametrize('name', ['a.ply', 'a.npz'])
def test_git_lfs_pointer_is_named(tmp_path, name):
    (tmp_path / name).write_text('version https://git-lfs.github.com/spec/v1')
    with pytest.raises(ScanError, match='git lfs pull') as error:
        read_scan(tmp_path / name, PLAIN)
    assert 'truncated' not in str(error.value)


@pytest.mark.parametrize('place', [(0, 0, 0), (-9999, -9999, -9999),
                                   (1, 1, 9)])
def test_positions_that_stand_for_no_measurement(tmp_path, room, place):
    xyz = room['xyz'].copy()
    xyz[::20] = place
    path = write_npz(tmp_path / 'a.npz', room, xyz=xyz)
    with pytest.raises(ScanError, match='145 points.*--drop-invalid'):
        read_scan(path, PLAIN)
    scan = read_scan(path, ReadOptions(drop_invalid=True))
    kept = np.delete(np.arange(2900), np.arange(0, 2900, 20))
    check_equals(scan, {k: v[kept] for k, v in dict(room, xyz=xyz).items()})


@pytest.mark.parametrize('axis, value', [(2, -9999), (0, -32768), (1, 1e10)])
def test_coordinates_that_stand_for_no_measurement(tmp_path, room, axis,
                                                   value):
    xyz = room['xyz'].astype(float)
    xyz[::20, axis] = value
    path = write_npz(tmp_path / 'a.npz', room, xyz=xyz)
    with pytest.raises(ScanError, match='145 points at one coordinate'):
        read_scan(path, PLAIN)
    scan = read_scan(path, ReadOptions(drop_invalid=True))
    kept = np.delete(np.arange(2900), np.arange(0, 2900, 20))
    check_equals(scan, {k: v[kept] for k, v in dict(room, xyz=xyz).items()})


@pytest.mark.parametrize('value', [480., 1e30, -5000.])
def test_far_points_are_counted(tmp_path, room, value):
    xyz = room['xyz'].copy()
    xyz[[5, 9], 1] = value
    path = write_npz(tmp_path / 'a.npz', room, xyz=xyz)
    with pytest.raises(ScanError, match='2 points far.*--drop-invalid'):
        read_scan(path, PLAIN)
    assert len(read_scan(path, ReadOptions(drop_invalid=True)).xyz) == 2898


def test_doubled_points_are_said_and_kept(tmp_path, room):
    room = {key: np.repeat(value, 2, 0) for key, value in room.items()}
    scan = read_scan(write_npz(tmp_path / 'a.npz', room), PLAIN)
    check_equals(scan, room)
    assert '2,900 points are at the position of another' in scan.notes


@pytest.mark.parametrize('rgb', [np.nan, 1000, -300.])
def test_colours_that_nobody_needs_stop_nothing(tmp_path, room, rgb):
    """Prediction reads so."""
    colors = room['rgb'].astype(float)
    colors[4] = rgb
    path = write_npz(tmp_path / 'a.npz', room, rgb=colors)
    with pytest.raises(ScanError):
        read_scan(path, PLAIN)
    scan = read_scan(path, ReadOptions(without_color=True))
    assert (scan.rgb == 128).all() and 'mid-gray' in scan.notes[-1]
    assert len(scan.xyz) == 2900


def test_class_indices_of_a_prediction_become_nyu40_ids(tmp_path):
    xyz = np.random.default_rng(0).uniform(0, 4, (600, 3))
    indices = np.arange(600) % 3
    write_ply(
        tmp_path / 'a.ply',
        xyz,
        np.zeros((600, 3), np.uint8),
        labels=indices,
        classes=['floor', 'table', 'ceiling'])
    scan = read_scan(tmp_path / 'a.ply', PLAIN)
    assert any('colors of classes' in note for note in scan.notes)
    assert np.array_equal(scan.semantic, np.array([2, 7, 0])[indices])
    assert (scan.rgb == 128).all()


def test_labels_of_unknown_meaning_are_refused(tmp_path, rooms, room):
    """As tools/predict.py once wrote them, without saying what they are."""
    columns = {
        **{
            axis: room['xyz'][:, i]
            for i, axis in enumerate('xyz')
        },
        **{
            c: room['rgb'][:, i].astype('u1')
            for i, c in enumerate(('red', 'green', 'blue'))
        }, 'label': room['semantic'].astype('u4')
    }
    vertices = np.empty(2900, [(k, v.dtype) for k, v in columns.items()])
    for name, values in columns.items():
        vertices[name] = values
    PlyData([PlyElement.describe(vertices,
                                 'vertex')]).write(str(tmp_path / 'a.ply'))
    with pytest.raises(ScanError, match='semantic'):
        read_scan(tmp_path / 'a.ply', PLAIN)
