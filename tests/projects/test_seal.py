"""Seal against closed forms, slow references and planted objects."""
import copy
import math

import numpy as np
import pytest
import torch
from mmdet3d.registry import DATASETS
from mmdet3d.structures import Det3DDataSample
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from rich.console import Console

from projects.seal import match_segments, point_to_segment, segment_means
from sam3d_plugin.datasets.transforms import (FindCorrespondences,
                                              LoadRGBDPoints, TwoViews)
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.models.losses import InfoNCELoss
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.synthrooms import SynthOptions, SynthRoomsStep
from tests.datasets.frame_store import FRAMES, write_data_set
from tests.models.pretraining_cases import BACKBONE, KNN, build, losses_of
from tests.projects.pair_cases import turned, unit

OBJECTS, CHANNELS = 7, 12
CONFIG = 'projects/seal/configs/seal_mini.py'


def make(**changes):
    config = dict(
        type='Seal',
        backbone=copy.deepcopy(dict(BACKBONE, tokenizer=KNN)),
        projector=dict(
            type='PointProjector',
            in_channels=32,
            hidden_channels=32,
            out_channels=16),
        contrast=dict(type='InfoNCELoss', temperature=.07, normalize=False),
        image_channels=CHANNELS)
    config['backbone']['encoder']['drop_path'] = 0.
    model = build(config, **changes)
    model._dump_init_info = lambda: None  # hundreds of lines
    model.init_weights()
    return model.train()


def make_scene(seed, num_points=210):
    """A scene of blobs in two views, whose regions have other ids in each."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    objects = torch.arange(num_points) % OBJECTS
    xyz = 4 * rand(OBJECTS, 3)[objects] + .3 * rand(num_points, 3)
    features = unit(OBJECTS, CHANNELS, seed=seed)
    sample = Det3DDataSample(
        metainfo=dict(scan='a', frame='0', point_columns=dict(region=3)))
    points, orders, sample.regions = [], [], []
    for _ in range(2):
        order = torch.randperm(num_points, generator=generator)
        ids = torch.randperm(OBJECTS, generator=generator) + 1
        points.append(
            torch.cat([
                turned(xyz[order], 6 * rand(
                    ())), ids[objects[order], None].float()
            ], 1))
        orders.append(order.argsort())
        sample.regions.append(
            InstanceData(
                ids=torch.arange(1, OBJECTS + 1),
                features=features[ids.argsort()]))
    inputs = dict(
        points=torch.stack(points),
        pairs=torch.stack(orders, 1),
        is_pair=torch.ones(num_points, dtype=torch.bool),
        places=xyz)
    return inputs, sample


def make_batch(num_scenes=2):
    scenes = [make_scene(seed) for seed in range(num_scenes)]
    inputs = {
        name: [inputs[name] for inputs, _ in scenes]
        for name in scenes[0][0]
    }
    return dict(inputs=inputs, data_samples=[sample for _, sample in scenes])


def segments_of(model, batch=None):
    data = model.data_preprocessor(batch or make_batch(), True)
    return data['inputs'], model.segment(**data)


def test_means_equal_a_slow_reference():
    features, ids = unit(3, 40, 6), torch.randint(0, 6, (3, 40))
    ids[ids == 4] = 5  # a region without points
    means, has_points = segment_means(features, ids, 7)
    for cloud in range(3):
        for row in range(7):
            is_in = ids[cloud] == row
            assert has_points[cloud, row] == (row > 0 and is_in.any())
            expected = features[cloud, is_in].sum(0) / max(is_in.sum(), 1)
            torch.testing.assert_close(means[cloud, row], expected)
    order = torch.randperm(40)
    for found, expected in zip(
            segment_means(features[:, order], ids[:, order], 7),
        (means, has_points)):
        torch.testing.assert_close(found, expected)


def test_one_point_in_each_segment_is_a_contrast_of_points():
    features = unit(2, 9, 6)
    ids = torch.stack([torch.randperm(9) + 1 for _ in range(2)])
    means, has_points = segment_means(features, ids, 10)
    torch.testing.assert_close(
        point_to_segment(features, ids, means, has_points, .07),
        InfoNCELoss(.07, normalize=False)(features, features))


def test_contrasts_are_of_full_precision():
    features, ids = unit(2, 30, 16), torch.randint(0, 5, (2, 30))
    expected = segment_means(features, ids, 6)
    loss = point_to_segment(features, ids, *expected, .07)
    with torch.autocast('cpu', torch.bfloat16):
        assert segment_means(features, ids, 6)[0].equal(expected[0])
        assert point_to_segment(features, ids, *expected, .07).equal(loss)


def test_points_in_no_segment_count_nothing():
    features, ids = unit(2, 30, 6), torch.randint(0, 5, (2, 30))
    ids[1] = 0  # a frame without segments
    features.requires_grad_()
    means, has_points = segment_means(features, ids, 8)
    loss = point_to_segment(features, ids, means, has_points, .07)
    slow = 0.
    for point in (ids[0] > 0).nonzero()[:, 0]:
        logits = means[0, 1:5] @ features[0, point] / .07
        slow = slow - logits.log_softmax(0)[ids[0, point] - 1]
    torch.testing.assert_close(loss, slow / (ids[0] > 0).sum() / 2)
    loss.backward()
    assert features.grad.isfinite().all()
    assert not features.grad[ids == 0].any()


@pytest.mark.parametrize(
    'first, second, expected',
    [
        ([1, 1, 2, 2], [2, 2, 1, 1], [0, 2, 1]),
        # A half is enough, less is not.
        ([1, 1, 2, 2], [1, 2, 2, 2], [0, 1, 2]),
        ([1, 1, 1, 1, 1], [1, 1, 2, 2, 0], [0, 1, 0]),
        ([1, 1, 1, 2, 2, 2, 3, 3, 3], [1, 2, 3] * 3, [0, 0, 0, 0]),
        ([0, 0, 1], [1, 2, 0], [0, 0, 0]),
    ])
def test_matches_of_known_segments(first, second, expected):
    first, second = torch.tensor([first]), torch.tensor([second])
    is_pair = torch.ones_like(first, dtype=torch.bool)
    rows = int(max(first.max(), second.max())) + 1
    found = match_segments(first, second, is_pair, rows, .5)
    assert found[0, :len(expected)].tolist() == expected
    assert not match_segments(first, second, ~is_pair, rows, .5).any()


def test_objects_of_a_rendered_room_are_found_again(tmp_path):
    run_step(
        SynthRoomsStep(0, 1, 0, SynthOptions(8, (72, 96))), tmp_path,
        RunOptions(workers=0), Console(quiet=True))
    scan = next((tmp_path / 'posed_images').glob('scene*')).name
    frames = sorted(
        p.stem for p in (tmp_path / 'posed_images' / scan).glob('*.png'))
    load = LoadRGBDPoints(
        4096, ('region', 'origin'), region_folder='frame_instances')
    views = TwoViews([load])
    find = FindCorrespondences(2048, .0375)
    right = total = 0
    for a, b in zip(frames, frames[1:]):
        results = find(
            views(
                dict(
                    data_root=str(tmp_path),
                    scan=scan,
                    views=[dict(frame=a), dict(frame=b)])))
        if results is None:
            continue
        pairs = torch.from_numpy(results['pairs'])
        ids = [
            points.tensor[pairs[:, view], 3].long()[None]
            for view, points in enumerate(results['points'])
        ]
        partner = match_segments(*ids,
                                 torch.from_numpy(results['is_pair'])[None],
                                 100, .5)[0]
        found = partner.nonzero()[:, 0]
        right += int((partner[found] == found).sum())
        total += len(found)
    assert total > 20 and right / total >= .95, (right, total)


def test_each_view_has_the_regions_of_its_frame(tmp_path):
    options = read_config(CONFIG, dict(data_root=f'{tmp_path}/'))
    options = options.train_dataloader.dataset.to_dict()
    write_data_set(tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        dataset = DATASETS.build(dict(options, ann_file=''))
    assert dataset.metainfo['point_columns'] == dict(
        region=3, origin=[4, 5, 6])
    sample = dataset[0]
    frames = [
        int(r.features[0, 1]) - 1 for r in sample['data_samples'].regions
    ]
    assert sample['data_samples'].metainfo['frame'] == FRAMES[frames[0]]
    assert frames[0] != frames[1]
    for points, regions in zip(sample['inputs']['points'],
                               sample['data_samples'].regions):
        assert set(points[:, 3].tolist()) == set(regions.ids.tolist())


def test_alike_features_cost_the_logarithm_of_the_others():
    model = make()
    torch.nn.init.zeros_(model.projector.mlp[-1].weight)
    torch.nn.init.ones_(model.projector.mlp[-1].bias)
    torch.nn.init.zeros_(model.image_projector.weight)
    losses = losses_of(model, make_batch())
    for name, others in (('image', 2), ('time', 2), ('point', 1)):
        assert losses[f'loss_{name}'].item() == pytest.approx(
            math.log(others * OBJECTS), rel=1e-4)


def test_an_object_is_not_told_from_its_other_image():
    """Two views of an object, planted alike, are in different sets."""
    model = make()
    inputs, segments = segments_of(model)
    rows = torch.eye(2 * (OBJECTS + 1))[:, :16].reshape(2, 1, OBJECTS + 1, 16)
    planted = rows.expand(-1, 2, -1, -1)
    segments = segments._replace(means=planted, images=planted)
    assert model.contrast_images(segments).item() == pytest.approx(
        math.log1p((2 * OBJECTS - 1) * math.exp(-1 / .07)), abs=1e-6)


def test_segments_of_a_moved_object_are_compared():
    """Ids differ between the views, objects do not."""
    model = make()
    inputs, segments = segments_of(model)
    own = torch.eye(16)[:OBJECTS]
    batch = make_batch()
    means = torch.zeros(2, 2, OBJECTS + 1, 16)
    for scene, sample in enumerate(batch['data_samples']):
        shared = sample.regions[0].features
        for view, regions in enumerate(sample.regions):
            which = (regions.features @ shared.T).argmax(1)
            means[scene, view, 1:] = own[which]
    loss = model.contrast_times(
        segments._replace(means=means), inputs['pairs'], inputs['is_pair'])
    # The other scene has the same seven features.
    expected = math.log(2 + 2 * (OBJECTS - 1) * math.exp(-1 / .07))
    assert loss.item() == pytest.approx(expected, rel=1e-3)


def test_gradient_reaches_the_image_projector_and_never_the_store():
    model, batch = make(), make_batch()
    stored = [
        r.features.requires_grad_() for sample in batch['data_samples']
        for r in sample.regions
    ]
    losses_of(model, batch)['loss_image'].backward()
    assert model.image_projector.weight.grad.abs().sum() > 0
    assert all(features.grad is None for features in stored)


def test_two_pairs_are_learned():
    model, batch = make(), make_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    totals = []
    for _ in range(200):
        losses = losses_of(model, batch)
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < .2 * totals[0], losses


@pytest.mark.parametrize('word', [
    'TwoViews', 'FindCorrespondences', 'LoadRegionTargets', 'image_channels',
    'no feature'
])
def test_unusable_batches_are_refused(word):
    model, batch = make(), make_batch()
    inputs, samples = batch['inputs'], batch['data_samples']
    if word == 'TwoViews':
        inputs['points'] = [points[0] for points in inputs['points']]
    elif word == 'FindCorrespondences':
        del inputs['pairs']
    elif word == 'LoadRegionTargets':
        samples[0].regions = samples[0].regions[0]
    elif word == 'image_channels':
        model = make(image_channels=5)
    else:
        samples[1].regions[1] = samples[1].regions[1][:3]
    with pytest.raises(ValueError, match=word):
        losses_of(model, batch)


def test_an_overlap_is_a_share():
    with pytest.raises(UserError, match='min_overlap.*share'):
        make(min_overlap=50)


def test_eval_mode_and_views_count():
    model, batch = make(), make_batch()
    losses_of(model, batch)
    assert int(model.frames_seen) == 4
    ids = segments_of(model.eval(), batch)[1].ids
    assert ids.shape == (2, 2, 210) and np.isin(ids, range(1, 8)).all()
