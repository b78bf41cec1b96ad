"""A detector on scans without annotations: from files and arrays to boxes."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from plyfile import PlyData, PlyElement

from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.engine.export import export_backbone
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.inference import (Predictor, SceneOptions, scene_of_arrays,
                                    write_detections)
from sam3d_plugin.inference.predictor import build_dataset
from sam3d_plugin.visualization.boxes import LabelledBoxes
from tests.conftest import write_infos, write_scannet
from tests.random_states import unchanged_random_state
from tests.tools.conftest import load_tool

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs' / 'sam3d'
# A small VoteNet, so that a scan takes tenths of a second.
OPTIONS = {
    'model.backbone.tokenizer.num_tokens': 256,
    'model.bbox_head.vote_aggregation_cfg.num_point': 32,
}


@pytest.fixture(autouse=True)
def forget_logger():
    """The quiet logger must not become that of other tests."""
    yield
    MMLogger._instance_dict.pop('predict', None)


def small_config(name='votenet_scannet_mini'):
    cfg = read_config(str(CONFIGS / f'{name}.py'), dict(OPTIONS))
    for loader in (cfg.test_dataloader, ):
        for step in loader.dataset.pipeline:
            if step.type.endswith('PointSample'):
                step.num_points = 2048
    return cfg


def save_model(cfg, folder, meta=True):
    """Write config and random weights; return their paths."""
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    cfg.dump(str(folder / 'config.py'))
    torch.save(
        dict(
            state_dict=model.state_dict(),
            meta=dict(cfg=cfg.pretty_text) if meta else {}),
        folder / 'weights.pth')
    return str(folder / 'config.py'), str(folder / 'weights.pth')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return save_model(small_config(), tmp_path_factory.mktemp('votenet'))


@pytest.fixture(scope='module')
def predict(files):
    predictor = Predictor(*files)
    MMLogger._instance_dict.pop('predict', None)
    return predictor


@pytest.fixture
def room(tmp_path):
    """The room 'a' of write_scannet as arrays."""
    write_scannet(tmp_path / 'scannet', ('a', ))
    points = np.fromfile(tmp_path / 'scannet/points/a.bin', np.float32)
    xyz, rgb = np.hsplit(points.reshape(-1, 6), 2)
    regions = (xyz > np.median(xyz, axis=0)) @ np.array([1, 2, 4])
    return xyz, rgb, regions


def predict_by_tool(*arguments):
    """Exit status of tools/predict.py."""
    tool = load_tool('predict')
    return run_tool(tool.main, tool.parse_args(arguments))


def write_scan(path, xyz, rgb=None, regions=None):
    """Write a scan as .npz or .ply."""
    if path.suffix == '.npz':
        arrays = dict(xyz=xyz, rgb=rgb, region=regions)
        np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
        return path
    columns = dict(zip('xyz', np.asarray(xyz, np.float32).T))
    if rgb is not None:
        columns.update(zip(('red', 'green', 'blue'), rgb.astype('u1').T))
    if regions is not None:
        columns['region'] = regions.astype(np.uint32)
    vertices = np.empty(
        len(xyz), [(k, v.dtype.str) for k, v in columns.items()])
    for key, values in columns.items():
        vertices[key] = values
    PlyData([PlyElement.describe(vertices, 'vertex')]).write(str(path))
    return path


def test_the_folder_of_an_encoder_is_not_a_detector(files, tmp_path):
    export_backbone(
        str(CONFIGS / 'stage1_scannet_mini.py'), str(tmp_path / 'encoder'))
    for source in ('encoder', 'encoder/model.safetensors'):
        with pytest.raises(
                ValueError, match='encoder, not a detector.*fine-tune one'):
            Predictor(files[0], str(tmp_path / source))


def test_same_boxes_as_on_the_prepared_data_set(predict, files, room,
                                                tmp_path):
    scan = tmp_path / 'a.npz'
    # A scan that says how it is aligned stays where its data set has it.
    np.savez(
        scan,
        axis_align_matrix=np.eye(4),
        **dict(zip(('xyz', 'rgb', 'region'), room)))
    found = predict(scan, score_thr=0.)
    cfg = Config.fromfile(files[0])
    dataset = build_dataset(cfg, str(tmp_path / 'scannet'))
    assert len(dataset) == 1  # by its own annotation file
    sample = predict.model.test_step(pseudo_collate([dataset[0]]))[0]
    expected = sample.pred_instances_3d
    assert len(found) == len(expected) > 0
    order = expected.scores_3d.argsort(descending=True, stable=True)
    np.testing.assert_allclose(
        found.boxes.boxes[:, :3],
        expected.bboxes_3d.gravity_center[order].detach(),
        atol=1e-5)
    assert found.boxes.names[0] == predict.classes[expected.labels_3d[
        order[0]]]


@pytest.fixture(autouse=True)
def infos_named_as_the_predictor_reads_them(request, tmp_path):
    if 'room' in request.fixturenames:
        infos = write_scannet(tmp_path / 'scannet', ('a', ))
        write_infos(tmp_path / 'scannet' / 'infos.pkl', infos)


@pytest.mark.parametrize('ending', ['npz', 'ply'])
def test_file_and_arrays_agree(predict, room, tmp_path, ending):
    path = write_scan(tmp_path / f'a.{ending}', *room)
    with unchanged_random_state():
        from_file = predict(path, score_thr=0.)
    # the name seeds the sampling of points
    from_array = predict(scene_of_arrays(*room, name='a'), score_thr=0.)
    assert 'sam' in from_file.tokens
    np.testing.assert_allclose(
        from_file.boxes.scores[:5], from_array.boxes.scores[:5], rtol=1e-4)


def test_scan_without_regions_gets_knn_tokens(predict, room, tmp_path):
    found = predict(room[0], score_thr=0.)
    assert found.tokens.startswith('knn 256×32 (the scan has no regions')
    assert found.colors is None and found.notes
    # the next scan with regions has the trained tokens again
    assert predict(*room).tokens.startswith('sam 256')


def test_alignment_beside_the_scan_is_that_of_the_boxes(
        predict, room, tmp_path):
    path = write_scan(tmp_path / 'a.npz', *room)
    matrix = np.eye(4)
    matrix[:3, 3] = 10, -5, 1
    np.savetxt(tmp_path / 'a_axis_align.txt', matrix)
    moved, plain = predict(path, score_thr=0.), predict(*room, score_thr=0.)
    np.testing.assert_allclose(
        moved.points, plain.points + (10, -5, 1), atol=1e-4)
    assert np.abs(moved.boxes.boxes[0, :3] - (12, -3.5, 2)).max() < 5
    assert moved.to_dict()['axis_align'] == matrix.tolist()


def test_files_of_a_scan(predict, room, tmp_path):
    found = predict(*room, score_thr=0.)
    paths = write_detections(found, tmp_path / 'out', max_boxes=3)
    assert {path.suffix
            for path in paths.values()} == {'.json', '.ply', '.png', '.html'}
    content = json.loads(paths['json'].read_text())
    assert len(content['boxes']) == len(found)
    first = content['boxes'][0]
    assert first['class'] == found.boxes.names[0]
    np.testing.assert_allclose(
        first['center'] + first['size'] + [first['yaw']],
        found.boxes.boxes[0],
        atol=1e-4)
    scores = [box['score'] for box in content['boxes']]
    assert scores == sorted(scores, reverse=True)
    vertices = PlyData.read(str(paths['ply']))['vertex']
    assert len(vertices) > len(found.points)
    assert '<html' in paths['html'].read_text()[:500]
    assert 'http' not in paths['html'].read_text().split('<script')[0]


def test_nothing_found_is_a_result(predict, room, tmp_path):
    found = predict(*room, score_thr=1.)
    assert len(found) == 0
    paths = write_detections(found, tmp_path)
    assert json.loads(paths['json'].read_text())['boxes'] == []
    assert len(PlyData.read(str(paths['ply']))['vertex']) == 2048


def test_units_and_axes_are_checked(predict, room, tmp_path):
    xyz, rgb, _ = room
    path = write_scan(tmp_path / 'mm.npz', xyz * 1000, rgb)
    with pytest.raises(
            ValueError, match=r'add SceneOptions\(scale=0.001\) \(milli'):
        predict(path)
    scaled = predict(path, options=SceneOptions(scale=.001))
    np.testing.assert_allclose(scaled.points, xyz, atol=1e-3)
    floor = np.random.default_rng(0).uniform((0, 0, 0), (4, 4, .05), (2048, 3))
    lying = np.concatenate([xyz, floor])[:, [0, 2, 1]] * (1, 1, 1.5)
    with pytest.raises(
            ValueError, match=r"add SceneOptions\(up='y'\) \(.*up='z'\) if"):
        predict(write_scan(tmp_path / 'lying.npz', lying))
    with pytest.raises(ValueError, match="axis 'w' of SceneOptions.*, -y"):
        predict(xyz, options=SceneOptions(up='w'))


@pytest.mark.parametrize('score_thr', [70, -.1, np.nan])
def test_scores_are_shares(predict, room, score_thr):
    with pytest.raises(ValueError, match='score_thr of Predictor .*0, 1'):
        predict(room[0], score_thr=score_thr)


@pytest.mark.parametrize('arrays, message', [
    ((np.zeros((0, 3)), ), r'\(N, 3\)'),
    ((np.zeros((5, 2)), ), r'\(N, 3\)'),
    ((np.full((5, 3), np.nan), ), 'not finite'),
    ((np.eye(3), np.zeros((2, 3))), 'rgb must be'),
    ((np.eye(3), None, np.zeros(2, int)), 'region_ids must be'),
    ((np.eye(3), ), '3 points'),
])
def test_arrays_that_are_no_scan(predict, arrays, message):
    with pytest.raises(ValueError, match=message):
        predict(*arrays)


def test_lists_are_a_scan(predict, room, tmp_path):
    from_lists = predict(*(array.tolist() for array in room), score_thr=0.)
    np.testing.assert_allclose(from_lists.points, room[0])
    with pytest.raises(ValueError, match='belong to an array'):
        predict(write_scan(tmp_path / 'a.npz', *room), rgb=room[1])


def test_missing_and_foreign_files(predict, tmp_path):
    with pytest.raises(FileNotFoundError, match='missing'):
        predict(tmp_path / 'none.ply')
    (tmp_path / 'room.stl').write_text('v 0 0 0')
    with pytest.raises(ValueError, match=r'not a .*\.ply'):
        predict(tmp_path / 'room.stl')
    (tmp_path / 'cut.ply').write_bytes(b'ply\nformat')
    with pytest.raises(ValueError, match='cannot be read'):
        predict(tmp_path / 'cut.ply')


def test_region_key_that_is_not_there(predict, room, tmp_path):
    path = write_scan(tmp_path / 'a.npz', *room[:2])
    with pytest.raises(ValueError, match="'sam_ids'"):
        predict(path, options=SceneOptions(region_key='sam_ids'))


def test_checkpoint_of_the_other_detector(files, tmp_path):
    cfg = read_config(str(CONFIGS / 'groupfree3d_scannet_mini.py'), {})
    cfg.dump(str(tmp_path / 'groupfree3d.py'))
    with pytest.raises(
            ValueError, match='model with VoteNet.*one with GroupFree3DNet'):
        Predictor(str(tmp_path / 'groupfree3d.py'), files[1])


def test_tokens_of_the_training_are_those_of_the_checkpoint(files, room):
    changed = {'model.backbone.tokenizer.num_tokens': 128}
    found = Predictor(*files, cfg_options=changed)(*room)
    assert found.tokens == ('sam 128 (split regions) (the model was trained '
                            'on sam 256 (split regions))')
    found = Predictor(*files, cfg_options=changed)(room[0])
    assert 'no regions; the model was trained on sam 256' in found.tokens


def test_checkpoint_of_other_classes(files, tmp_path):
    cfg = small_config('votenet_sunrgbd_mini')
    cfg.dump(str(tmp_path / 'sun.py'))
    with pytest.raises(ValueError, match='18 classes.*10 classes'):
        Predictor(str(tmp_path / 'sun.py'), files[1])


def test_checkpoint_without_settings_lists_its_tensors(tmp_path):
    config, weights = save_model(small_config(), tmp_path, meta=False)
    content = torch.load(weights)
    del content['state_dict']['bbox_head.conv_pred.conv_cls.weight']
    torch.save(content, weights)
    with pytest.raises(ValueError, match='lacks .*conv_cls.weight'):
        Predictor(config, weights)


def test_diverged_weights_are_named(files, tmp_path):
    """Boxes that are NaN hold no point, so that none would be found."""
    content = torch.load(files[1])
    content['state_dict']['bbox_head.conv_pred.conv_reg.bias'][0] = np.nan
    torch.save(content, tmp_path / 'nan.pth')
    with pytest.raises(ValueError, match='nan.pth has NaN.*conv_reg'):
        Predictor(files[0], str(tmp_path / 'nan.pth'))


def test_rotated_boxes_keep_their_yaw(tmp_path):
    files = save_model(small_config('votenet_sunrgbd_mini'), tmp_path)
    xyz = np.random.default_rng(0).uniform((-2, 1, -1), (2, 4, 1), (2048, 3))
    found = Predictor(*files)(xyz, score_thr=0.)
    assert found.boxes.boxes[:, 6].std() > 0
    assert set(found.boxes.names) <= {
        'bed', 'table', 'sofa', 'chair', 'toilet', 'desk', 'dresser',
        'night_stand', 'bookshelf', 'bathtub'
    }


def test_stock_config_of_mmdet3d(room, tmp_path):
    (tmp_path / 'stock.py').write_text(
        "_base_ = ['mmdet3d::votenet/votenet_8xb8_scannet-3d.py']\n"
        'model = dict(backbone=dict(num_points=(64, 32, 16, 16)),'
        ' bbox_head=dict(vote_aggregation_cfg=dict(num_point=16)))\n')
    cfg = read_config(str(tmp_path / 'stock.py'), {})
    found = Predictor(*save_model(cfg, tmp_path))(room[0], score_thr=0.)
    assert len(found) > 0 and 'mmdet3d backbone' in found.tokens


def test_command_line(files, room, tmp_path, capsys):
    path = str(write_scan(tmp_path / 'a.ply', *room))
    assert predict_by_tool(*files, path, '--out', str(tmp_path / 'out')) == 0
    assert 'a: ' in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        'a.html', 'a.json', 'a.ply', 'a.png'
    ]
    for arguments, hint in (([*files, f'{path}b'], 'missing'),
                            ([*files, path, path], 'two scans are named a'),
                            ([*files[::-1], path], 'swapped')):
        assert predict_by_tool(*arguments, '--out', str(tmp_path / 'b')) == 2
        message = capsys.readouterr().err
        assert message.count('\n') == 1 and hint in message


def test_no_result_is_written_over_a_scan(files, room, tmp_path, capsys):
    path = write_scan(tmp_path / 'a.ply', *room)
    before = path.read_bytes()
    for scan in (path, tmp_path):
        assert predict_by_tool(*files, str(scan), '--out', str(tmp_path)) == 2
        assert 'a.ply would be overwritten' in capsys.readouterr().err
    assert path.read_bytes() == before


def test_importing_the_plugin_stays_cheap():
    code = ('import sys, sam3d_plugin; assert "torch" not in sys.modules; '
            'print(sam3d_plugin.Predictor.__module__)')
    result = subprocess.run([sys.executable, '-c', code],
                            cwd=ROOT,
                            capture_output=True,
                            text=True)
    assert result.stdout.strip() == 'sam3d_plugin.inference.predictor', \
        result.stderr


def test_no_boxes_have_no_edges():
    from sam3d_plugin.inference.writers import draw_edges
    points, colors = draw_edges(LabelledBoxes(np.zeros((0, 7)), ()))
    assert len(points) == len(colors) == 0
    box = LabelledBoxes(np.array([[0, 0, 0, 2, 2, 2, 0.]]), ('chair', ))
    points, _ = draw_edges(box)
    assert (np.abs(points).max(axis=1) == 1).all()
