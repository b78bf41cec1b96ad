"""Results are in the units and axes of the scan's file."""
import json

import numpy as np
import pytest
from plyfile import PlyData
from scipy.spatial.transform import Rotation

from sam3d_plugin.inference.file_frame import FileFrame
from sam3d_plugin.preparation.sources.scans.box_readers import read_boxes
from sam3d_plugin.preparation.sources.scans.frames import TO_Z_UP
from sam3d_plugin.visualization.boxes import box_corners
from tests.conftest import write_scannet
from tests.inference.test_predictor import forget_logger  # noqa: F401
from tests.inference.test_predictor import (predict_by_tool, save_model,
                                            small_config)


@pytest.mark.parametrize('up', TO_Z_UP)
@pytest.mark.parametrize('scale', [0.001, 1., 0.3048])
def test_boxes_have_the_same_corners(up, scale):
    """A box of the file, turned about its up axis, is the box in meters."""
    boxes = np.array([[1., 2, 3, .5, 1.5, .8, .4], [-1., 0, 2, 1, 2, 3, -2]])
    frame = FileFrame(scale, up)
    axis = TO_Z_UP[up][2]  # which becomes z
    signs = np.array(np.meshgrid(*[[-.5, .5]] * 3)).reshape(3, -1).T
    for ours, theirs in zip(boxes, frame.boxes(boxes)):
        turn = Rotation.from_rotvec(theirs[6] * axis).as_matrix()
        corners = (signs * theirs[3:6]) @ turn.T + theirs[:3]
        back = scale * corners @ TO_Z_UP[up].T
        distances = np.linalg.norm(
            back[:, None] - box_corners(ours[None])[0][None], axis=2)
        np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-9)
        np.testing.assert_allclose(distances.min(axis=0), 0, atol=1e-9)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return save_model(small_config(), tmp_path_factory.mktemp('votenet'))


def test_prediction_in_millimeters_with_y_up(files, tmp_path, capsys):
    """The same room in meters with z up, and as a modeler exports it."""
    write_scannet(tmp_path / 'scannet', ('a', ))
    xyz, rgb = np.hsplit(
        np.fromfile(tmp_path / 'scannet/points/a.bin',
                    np.float32).reshape(-1, 6).astype(np.float64), 2)
    xyz = np.round(xyz * 1024) / 1024
    found = {}
    for name, scale, up in (('m', 1., 'z'), ('mm', .001, 'y')):
        folder = tmp_path / name
        folder.mkdir()
        np.savez(folder / 'a.npz', xyz=xyz @ TO_Z_UP[up] / scale, rgb=rgb)
        options = [] if name == 'm' else ['--scale', '.001', '--up', 'y']
        assert predict_by_tool(*files, str(folder),
                               '--score-thr', '0', '--out',
                               str(tmp_path / 'out' / name), *options) == 0
        found[name] = json.loads((tmp_path / f'out/{name}/a.json').read_text())
        vertices = PlyData.read(str(tmp_path / f'out/{name}/a.ply'))['vertex']
        read = np.stack([vertices[axis] for axis in 'xyz'], 1)[:len(xyz)]
        np.testing.assert_allclose(
            read, xyz @ TO_Z_UP[up] / scale, rtol=1e-6, atol=1e-4)
    assert 'units of 0.001 m with y up' in capsys.readouterr().out
    assert len(found['mm']['boxes']) == len(found['m']['boxes']) > 0
    turn = TO_Z_UP['y']
    for ours, theirs in zip(found['m']['boxes'], found['mm']['boxes']):
        np.testing.assert_allclose(
            theirs['center'], 1000 * np.array(ours['center']) @ turn, atol=.1)
        np.testing.assert_allclose(
            theirs['size'],
            1000 * np.array(ours['size']) @ np.abs(turn),
            atol=.1)
    # import_scans.py reads them with the same options.
    boxes = [box for box in found['mm']['boxes'] if min(box['size']) > 0]
    (tmp_path / 'mm/a.boxes.json').write_text(
        json.dumps(dict(found['mm'], boxes=boxes)))
    read, _ = read_boxes(tmp_path / 'mm/a.npz', {}, .001, 'y')
    expected = [[*box['center'], *box['size']] for box in boxes]
    np.testing.assert_allclose(read, expected)
    with pytest.raises(ValueError, match='see --scale'):
        read_boxes(tmp_path / 'mm/a.npz', {}, 1., 'y')
