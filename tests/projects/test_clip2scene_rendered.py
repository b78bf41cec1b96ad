"""CLIP2Scene in a made-up room, whose true classes stand for CLIP's.

They are an oracle's and marked as such: its name stands in the file where that
of a model of images and text would.
"""
import json

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.structures import InstanceData
from rich.console import Console
from scipy.spatial import cKDTree

from sam3d_plugin.datasets.transforms import LoadRGBDPoints
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.synthrooms import SynthOptions, SynthRoomsStep
from tests.models.pretraining_cases import losses_of
from tests.projects.test_clip2scene import CHANNELS, make, write_oracle


class Rendered:
    """A made-up scan, whose true objects are the regions of its frames."""

    def __init__(self, root, num_frames=4):
        run_step(
            SynthRoomsStep(0, 1, 0, SynthOptions(num_frames, (72, 96))), root,
            RunOptions(workers=0), Console(quiet=True))
        self.root = root
        self.scan = next((root / 'posed_images').glob('scene*')).name
        folder = root / 'posed_images' / self.scan
        self.frames = sorted(path.stem for path in folder.glob('*.png'))
        info = json.loads((root / f'scenes/{self.scan}.json').read_text())
        self.classes = torch.tensor(info['instance_classes'])

    def points(self, frame, num_points=None):
        """(N, 7) xyz, object, origin."""
        load = LoadRGBDPoints(
            num_points, ('region', 'origin'), region_folder='frame_instances')
        return load(
            dict(data_root=str(self.root), scan=self.scan,
                 frame=frame))['points'].tensor


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    return Rendered(tmp_path_factory.mktemp('rendered'))


def test_pixels_have_the_true_classes_of_their_points(rendered):
    """A rendered frame, its true classes as regions, and the scan's points."""
    root, scan = rendered.root, rendered.scan
    xyz = np.fromfile(root / f'points/{scan}.bin', np.float32)
    tree = cKDTree(xyz.reshape(-1, 6)[:, :3])
    truth = np.fromfile(root / f'semantic_mask/{scan}.bin', np.int64)
    agrees = []
    for frame in rendered.frames:
        points = rendered.points(frame)
        classes = rendered.classes[points[:, 3].long()].numpy()
        distances, nearest = tree.query(points[:, 4:].numpy())
        is_same = (distances < .02) & (truth[nearest] > 0)
        agrees.append((classes == truth[nearest])[is_same])
    assert len(agrees) == 4 and min(map(len, agrees)) > 1000
    assert np.concatenate(agrees).mean() >= .99


def rendered_batch(rendered, features):
    """Two frames whose objects have image features."""
    batch = dict(inputs=dict(points=[]), data_samples=[])
    for frame in rendered.frames[:2]:
        points = rendered.points(frame, 600)[:, :4]
        ids = points[:, 3].unique().long()
        sample = Det3DDataSample(
            metainfo=dict(
                scan=rendered.scan, frame=frame, point_columns=dict(region=3)))
        ids = ids[ids > 0]
        sample.regions = InstanceData(ids=ids, features=features[ids])
        batch['inputs']['points'].append(points)
        batch['data_samples'].append(sample)
    return batch


def test_an_oracle_of_a_rendered_room_is_learned_to_its_ceiling(
        rendered, tmp_path):
    """It takes each third object for another class, and so does the model."""
    truth = rendered.classes.unique(return_inverse=True)[1]
    said, count = truth.clone(), int(truth.max()) + 1
    said[::3] = (said[::3] + 1) % count
    model = make(write_oracle(tmp_path / 'oracle.npz', count))
    model.backbone.tokenizer = MODELS.build(
        dict(type='KNNTokenizer', num_tokens=100, num_neighbors=8))
    embeddings = model.target_generator.embeddings
    noise = .02 * torch.randn(
        len(said), CHANNELS, generator=torch.Generator().manual_seed(0))
    batch = rendered_batch(rendered, embeddings[said] + noise)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        losses = losses_of(model, batch)
        optimizer.zero_grad()
        (losses['loss_class'] + losses['loss_feature']).backward()
        optimizer.step()
        if losses['agreement'] > .94:
            break
    assert losses['agreement'] > .94
    ids = torch.stack(batch['inputs']['points'])[..., 3].long()
    ceiling = (said == truth)[ids[ids > 0]].float().mean().item()
    assert .4 < ceiling < .9
    for sample in batch['data_samples']:  # the same points, other features
        ids = sample.regions.ids
        sample.regions = InstanceData(ids=ids, features=embeddings[truth][ids])
    accuracy = losses_of(model, batch)['agreement'].item()
    assert accuracy == pytest.approx(ceiling, abs=.07)
