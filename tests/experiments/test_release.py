"""The encoder and the detector that come with the package."""
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from sam3d_plugin import Predictor, shipped
from sam3d_plugin.experiments import release
from sam3d_plugin.models import PointTokenBackbone
from sam3d_plugin.preparation.sources.scans.scan import DETECTION_CLASSES
from sam3d_plugin.synthrooms import SynthOptions, build_scene
from sam3d_plugin.visualization.boxes import LabelledBoxes, match_boxes
from tests.tools.conftest import load_tool

NAMES = {number: name for name, number in DETECTION_CLASSES.items()}


@pytest.fixture(autouse=True)
def forget_logger():
    """The quiet logger must not become that of other tests."""
    yield
    MMLogger._instance_dict.pop('predict', None)


@pytest.fixture(scope='module')
def room():
    """A room with 12 chairs that no training has seen."""
    return build_scene(7, 'scene0000_00', SynthOptions(num_frames=8)).scan


def test_the_detector_finds_the_chairs_of_a_new_room(room):
    found = Predictor()(room, score_thr=0.3).boxes
    turns = np.zeros((len(room.boxes), 1))
    names = tuple(NAMES[number] for number in room.box_classes)
    true = LabelledBoxes(np.hstack([room.boxes, turns]), names)
    is_chair = np.array(found.names) == 'chair'
    right = match_boxes(found, true)[is_chair] >= 0
    assert right.sum() >= names.count('chair') / 2
    assert right.mean() > 0.5


def test_the_encoder_is_loaded_as_any_folder(room):
    encoder = PointTokenBackbone.from_pretrained(shipped.ENCODER).eval()
    points = torch.from_numpy(room.aligned_xyz[None, ::20]).float()
    features = encoder.point_features(points)
    assert features.shape == (1, points.shape[1], 256)
    # Not one vector for all points.
    assert features.std(dim=1).mean() > 0.1


def test_the_card_is_of_these_files():
    card = (shipped.FOLDER / 'README.md').read_text()
    digest = hashlib.sha256(Path(shipped.DETECTOR).read_bytes()).hexdigest()
    assert digest.startswith(re.search('starts with `(.*?)`', card)[1])


def test_predict_needs_no_config(room, tmp_path, capsys):
    scan = tmp_path / 'room.npz'
    np.savez(scan, xyz=room.aligned_xyz[::2].astype(np.float32))
    predict = load_tool('predict')
    predict.main(predict.parse_args([str(scan), '--out', str(tmp_path)]))
    assert 'boxes with score' in capsys.readouterr().out
    assert (tmp_path / 'room.json').is_file()


def test_a_config_needs_its_weights(capsys):
    with pytest.raises(SystemExit):
        load_tool('predict').parse_args(['a.py', 'b.pth', '--out', 'c'])
    assert 'CHECKPOINT' in capsys.readouterr().err


def test_options_may_stand_between_weights_and_scans(tmp_path):
    args = load_tool('predict').parse_args(
        ['a.py', 'b.pth', '--out',
         str(tmp_path), 'c.ply', 'd.ply'])
    assert (args.config, args.checkpoint) == ('a.py', 'b.pth')
    assert args.scans == ['c.ply', 'd.ply']


def test_what_is_written_is_what_was_trained(tmp_path):
    """Half precision, all tensors, and a config that builds the model."""
    state = release.read_checkpoint(shipped.DETECTOR)['state_dict']
    checkpoint = tmp_path / 'iter_1.pth'
    full = {
        key: value.float() if value.is_floating_point() else value
        for key, value in state.items()
    }
    torch.save(dict(state_dict=full), checkpoint)
    scores = {'made-up rooms': {release.AP25: 12.3, release.AP50: 4.5}}
    command = 'python release.py --cfg-options a=1'
    release.write_shipped(tmp_path / 'out', shipped.ENCODER, str(checkpoint),
                          scores, command)
    out = tmp_path / 'out'
    assert (out / 'detector.safetensors').read_bytes() == Path(
        shipped.DETECTOR).read_bytes()
    assert (out / 'detector.json').read_bytes() == Path(
        shipped.CONFIG).read_bytes()
    for name in ('model.safetensors', 'README.md'):
        assert (out / 'encoder' / name).read_bytes() == Path(
            shipped.ENCODER, name).read_bytes()
    card = (out / 'README.md').read_text()
    assert '12.3' in card and f'\n    {command}\n' in card


def test_the_command_of_the_card_names_the_options_that_were_used():
    args = load_tool('experiments/release').parse_args([
        '--source', 'some/folder', '--cfg-options',
        'optim_wrapper.type=CPUAmpOptimWrapper'
    ])
    assert f'\n    {release._command(args)}\n' in (shipped.FOLDER /
                                                   'README.md').read_text()
