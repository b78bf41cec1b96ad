"""From frames and id maps on disk to region files that infos name."""
import json
import pickle

import numpy as np
import pytest

from sam3d_plugin.preparation.lifting.purity import region_purity
from sam3d_plugin.store import read_region_file, write_region_file
from sam3d_plugin.store.files import write_bytes
from sam3d_plugin.store.manifest import ScanRecord, Store
from sam3d_plugin.store.posed_images import IMPORT, PosedImages
from tests.preparation.lifting_scene import scan_points, write_scan
from tests.tools.conftest import load_tool

SCAN = 'balls'


@pytest.fixture(scope='module')
def tool():
    return load_tool('preparation/lift_regions')


@pytest.fixture
def data(tmp_path):
    """One scan of six frames with true id maps, and its infos."""

    def number(instance):
        _, ids = np.unique(instance, return_inverse=True)
        return ids.reshape(instance.shape)

    write_scan(tmp_path, 6, number)
    store = Store(tmp_path / 'region_maps')
    store.open('region_maps', dict(generator='true'))
    store.write_record(ScanRecord(SCAN))
    info = dict(lidar_points=dict(num_pts_feats=6, lidar_path=f'{SCAN}.bin'))
    write_bytes(tmp_path / 'scannet_infos_val.pkl',
                pickle.dumps(dict(metainfo={}, data_list=[info])))
    return tmp_path


def run(tool, data, *arguments):
    return tool.main([f'--data={data}', '--workers=0', *arguments])


def record(folder):
    return Store(folder).record(SCAN).items


def test_region_files_are_made_and_named(tool, data, capsys):
    assert run(tool, data) == 0
    assert 'scannet_infos_val.pkl: 1 of 1 scans' in capsys.readouterr().out
    xyz, instances = scan_points()
    ids = read_region_file(data / 'regions' / f'{SCAN}.npz', xyz)
    result = region_purity(ids, instances)
    assert result.num_regions == 6 and result.purity > 0.98
    fields = record(data / 'regions')[SCAN].fields
    assert fields == dict(
        regions=6,
        points=len(xyz),
        covered=pytest.approx(result.covered, abs=1e-4),
        seen=fields['seen'],
        frames=6,
        left_out={})
    assert fields['covered'] <= fields['seen'] < 1
    infos = pickle.loads((data / 'scannet_infos_val.pkl').read_bytes())
    assert infos['data_list'][0]['pts_region_path'] == f'{SCAN}.npz'


def test_a_scan_that_frames_hardly_see_is_named(tool, data, capsys):
    """One that was aligned after its frames were posed."""
    assert run(tool, data) == 0
    assert 'one frame of reference' not in capsys.readouterr().out
    xyz, _ = scan_points()
    turned = xyz[:, [1, 2, 0]] + np.float32([.3, .2, .1])
    points = np.hstack([turned, np.zeros_like(xyz)]).astype(np.float32)
    (data / 'points' / f'{SCAN}.bin').write_bytes(points.tobytes())
    assert run(tool, data) == 0
    said = capsys.readouterr().out
    assert f'of {SCAN}; if the frames show more of it' in said


def test_running_again_keeps_and_other_options_are_refused(tool, data, capsys):
    run(tool, data)
    content = (data / 'regions' / f'{SCAN}.npz').read_bytes()
    capsys.readouterr()
    assert run(tool, data) == 0
    assert '0 scans made, 1 kept from before' in capsys.readouterr().out
    assert run(tool, data, '--overlap=0.7') == 1
    assert 'merging.overlap 0.5, now 0.7' in capsys.readouterr().err
    other = data / 'other'
    assert run(tool, data, f'--out={other}') == 0
    assert (other / f'{SCAN}.npz').read_bytes() == content


def test_files_of_another_origin_are_made_again(tool, data, capsys):
    xyz, instances = scan_points()
    path = data / 'regions' / f'{SCAN}.npz'
    for damage in (lambda: write_region_file(path, instances, xyz, SCAN),
                   lambda: path.write_bytes(path.read_bytes()[:-9])):
        run(tool, data)
        (data / 'regions/records' / f'{SCAN}.json').unlink()
        damage()
        capsys.readouterr()
        assert run(tool, data) == 0
        assert '1 scans made' in capsys.readouterr().out


def test_bad_frames_are_left_out_and_named(tool, data):
    (data / 'posed_images' / SCAN / '00001.png').write_bytes(b'no image')
    (data / 'region_maps' / SCAN / '00004.png').unlink()
    assert run(tool, data) == 0
    fields = record(data / 'regions')[SCAN].fields
    assert fields['frames'] == 4
    assert list(fields['left_out']) == ['00001', '00004']
    assert f'{SCAN}/00004.png is missing' in fields['left_out']['00004']
    assert str(data) not in json.dumps(fields)


def damage_points(data):
    (data / 'points' / f'{SCAN}.bin').write_bytes(b'12345')


def remove_points(data):
    (data / 'points' / f'{SCAN}.bin').unlink()


def move_points(data):
    path = data / 'points' / f'{SCAN}.bin'
    path.write_bytes((np.frombuffer(path.read_bytes(), '<f4') + 50).tobytes())


def damage_depth(data):
    for path in (data / 'posed_images' / SCAN).glob('*.png'):
        path.write_bytes(b'no image')


def leave_maps_incomplete(data):
    (data / 'region_maps/records' / f'{SCAN}.json').unlink()


@pytest.mark.parametrize('damage, reason', [
    (damage_points, 'truncated: 5 bytes'),
    (remove_points, 'is missing; prepare'),
    (move_points, 'no frame sees any of its points'),
    (damage_depth, 'no frame to lift'),
    (leave_maps_incomplete, 'incomplete'),
])
def test_scans_that_cannot_be_lifted_are_skipped(tool, data, damage, reason,
                                                 capsys):
    damage(data)
    assert run(tool, data) == 1
    assert reason in capsys.readouterr().out
    recorded = record(data / 'regions')[SCAN].reason
    assert reason in recorded and str(data) not in recorded
    assert not (data / 'regions' / f'{SCAN}.npz').exists()


def test_frames_get_ids_of_their_own_points(tool, data, capsys):
    assert run(tool, data, '--frames') == 0
    folder = data / 'frame_regions'
    images = PosedImages(data / 'posed_images')
    for name, item in record(folder).items():
        with np.load(folder / SCAN / f'{name}.npz') as arrays:
            ids, shape = arrays['region_ids'], arrays['depth_shape']
        assert ids.dtype == np.uint16 and ids.all()
        depth = images.read_depth(SCAN, name)
        assert len(ids) == np.count_nonzero(depth)
        assert tuple(shape) == depth.shape
        assert item.fields == dict(points=len(ids), regions=6, covered=1.0)
    (folder / SCAN / '00003.npz').write_bytes(b'PK')
    capsys.readouterr()
    assert run(tool, data, '--frames') == 0
    assert '1 frames made' in capsys.readouterr().out


def test_impossible_options_end_in_one_sentence(tool, data, capsys):
    assert run(tool, data, '--overlap=2') == 1
    assert capsys.readouterr().err.startswith('error: invalid overlap')
    assert run(tool, data, '--depth-tolerance=-1') == 1
    assert '--depth-tolerance must be above 0' in capsys.readouterr().err
    (data / 'region_maps/store.json').unlink()
    assert run(tool, data) == 1
    assert 'is not a store' in capsys.readouterr().err


@pytest.mark.parametrize('move', [[-451234., -5411876, -311], [0., 0, 0]])
def test_points_and_poses_that_were_moved_apart_meet(tool, data, move):
    """Both imports take the offset of a map out, each in its own way."""
    xyz, instances = scan_points()
    stored = xyz + np.float32([4, -3, 1])
    points = np.hstack([stored, np.zeros_like(xyz)])
    write_bytes(data / 'points' / f'{SCAN}.bin', points.tobytes())
    world = np.eye(4)
    world[:3, 3] = move
    write_bytes(data / 'posed_images' / SCAN / IMPORT,
                json.dumps(dict(world=world.tolist())).encode())
    path = data / 'scannet_infos_val.pkl'
    infos = pickle.loads(path.read_bytes())
    infos['data_list'][0]['offset'] = (-np.array([4, -3, 1]) - move).tolist()
    path.write_bytes(pickle.dumps(infos))
    assert run(tool, data) == 0
    ids = read_region_file(data / 'regions' / f'{SCAN}.npz', stored)
    result = region_purity(ids, instances)
    assert result.num_regions == 6 and result.purity > 0.98
