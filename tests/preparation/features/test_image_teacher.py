"""The stand-in image model: its training, its data, its way into a store."""
import hashlib

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.preparation.features import image_teacher
from sam3d_plugin.preparation.features.encoders import build_encoder
from sam3d_plugin.preparation.features.encoders.standin import WEIGHTS
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.synthrooms import SynthOptions, SynthRoomsStep
from tools.preparation import train_image_teacher

SIZE = (48, 64)


def make_rooms(folder, seed):
    step = SynthRoomsStep(seed, 2, 0, SynthOptions(num_frames=4, size=SIZE))
    run_step(step, str(folder), RunOptions(workers=1))
    return folder


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    return make_rooms(tmp_path_factory.mktemp('rooms'), 1000)


@pytest.fixture(scope='module')
def data(rooms):
    return image_teacher.read_images(rooms)


def test_labels_are_those_of_the_points(rooms, data):
    """A pixel's class is that of the scan's nearest point."""
    same = total = 0
    for frame, labels in zip(data.frames, data.labels):
        points = np.fromfile(rooms / f'points/{frame.scan}.bin', np.float32)
        classes = np.fromfile(rooms / f'semantic_mask/{frame.scan}.bin',
                              np.int64)
        pixels = np.flatnonzero(frame.depth > 0)
        surface = transform(
            back_project(frame.depth, frame.cameras.depth_intrinsics, pixels),
            frame.pose)
        # A scan leaves out instances of few points, and what is far.
        away, nearest = cKDTree(points.reshape(-1, 6)[:, :3]).query(surface)
        is_near = (away < .05) & (classes[nearest] > 0)
        found = labels.reshape(-1)[pixels][is_near]
        same += int((found == classes[nearest][is_near]).sum())
        total += len(found)
    assert total > 5000 and same / total > .95, (same, total)


def test_rooms_of_the_benchmark_are_refused(tmp_path):
    with pytest.raises(StoreError, match='benchmarks'):
        image_teacher.read_images(make_rooms(tmp_path, 0))


def test_held_out_rooms_share_no_scan(data):
    rest, held_out = image_teacher.split(data)
    scans = [{frame.scan
              for frame in part.frames} for part in (rest, held_out)]
    assert all(scans) and not scans[0] & scans[1]
    assert len(rest.labels) + len(held_out.labels) == len(data.labels)


def test_matching_cells_see_the_same_surface(data):
    """In the world; cells are 8 pixels wide, and depth is noisy."""
    frames = [f for f in data.frames if f.scan == data.frames[0].scan]
    rng = np.random.default_rng(0)
    same = image_teacher.matching_cells(frames[0], frames[0], rng)
    assert len(same) and (same[:, 0] == same[:, 1]).all()
    assert len(np.unique(same[:, 0])) == len(same)
    across = SIZE[1] // image_teacher.STRIDE
    for first, second in zip(frames, frames[1:]):
        for cells in image_teacher.matching_cells(first, second, rng):
            places = [
                points_of_cell(frame, *np.divmod(cell, across))
                for frame, cell in zip((first, second), cells)
            ]
            assert np.linalg.norm(
                places[0][:, None] - places[1], axis=-1).min() < .25


def points_of_cell(frame, row, column):
    """World points (P, 3) of the pixels of a cell."""
    rows, columns = np.indices(frame.depth.shape) // image_teacher.STRIDE
    pixels = np.flatnonzero((rows == row) & (columns == column)
                            & (frame.depth > 0))
    return transform(
        back_project(frame.depth, frame.cameras.depth_intrinsics, pixels),
        frame.pose)


@pytest.mark.parametrize('supervision', image_teacher.SUPERVISIONS)
def test_training_repeats_and_learns(data, supervision, tmp_path, monkeypatch):
    monkeypatch.setattr(image_teacher, 'NUM_PAIRS', 24)
    lines, state = [], torch.get_rng_state()
    for name in ('a', 'b'):
        network, _ = image_teacher.train(
            data, supervision, 3, batch_size=4, log=lines.append)
        image_teacher.write_weights(network, tmp_path / name)
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
    assert lines[0] == lines[1] and 'step 3 of 3' in lines[0]
    assert torch.equal(state, torch.get_rng_state())
    untrained = image_teacher.build_network(0).state_dict()
    trained = network.state_dict()
    assert not torch.equal(trained['layer4.1.conv2.weight'],
                           untrained['layer4.1.conv2.weight'])


def test_the_tool_writes_weights_that_the_encoder_reads(
        rooms, tmp_path, capsys):
    out = tmp_path / 'standin.safetensors'
    code = train_image_teacher.main(
        ['--data', str(rooms), '--out',
         str(out), '--steps', '2'])
    assert code == 0 and 'held-out' in capsys.readouterr().out
    encoder = build_encoder('standin', dict(checkpoint=str(out)))
    image = np.zeros((48, 64, 3), np.uint8)
    assert encoder.encode([image])[0].shape == (112, 30, 40)
    assert 'checkpoint_sha256' in encoder.settings()


def test_the_weights_of_the_package_are_those_of_the_card():
    assert WEIGHTS.stat().st_size < 4e6
    card = WEIGHTS.with_suffix('.md').read_text()
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in card
    encoder = build_encoder('standin', {})
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    features = encoder.encode([image])[0]
    assert torch.isfinite(features).all() and features.std() > .01
