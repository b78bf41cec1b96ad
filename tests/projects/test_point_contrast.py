"""PointContrast against closed forms, slow references and planted scenes."""
import math

import numpy as np
import pytest
import torch
from mmdet3d.registry import DATASETS
from mmengine.registry import DefaultScope
from rich.console import Console

import projects.csc  # noqa: F401 (registers)
from projects.point_contrast import HardestContrastiveLoss
from sam3d_plugin.engine.hooks.feature_view import view_features
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.preparation.pairs.frame_pairs_step import FramePairsStep
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.synthrooms import SynthOptions, SynthRoomsStep
from tests.models.pretraining_cases import losses_of
from tests.projects.pair_cases import (CHANNELS, NUM_PAIRS, build_pairs,
                                       found_share, make_batch, overfit,
                                       prepared, unit)

INFO_NCE = dict(type='InfoNCELoss', temperature=.4, normalize=False)
CONFIG = 'projects/point_contrast/configs/point_contrast_mini.py'


def point_contrast(**options):
    return build_pairs('PointContrast',
                       **dict(dict(pair_loss=INFO_NCE), **options))


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    """Twelve frames of a room, paired."""
    root = tmp_path_factory.mktemp('rooms')
    quiet = RunOptions(workers=0), Console(quiet=True)
    run_step(SynthRoomsStep(0, 1, 0, SynthOptions(12, (72, 96))), root, *quiet)
    run_step(FramePairsStep(root), root / 'frame_pairs', *quiet)
    return root


def dataset_of(rooms, **changes):
    options = read_config(CONFIG, dict(data_root=f'{rooms}/'))
    options = options.train_dataloader.dataset.to_dict()
    options.update(changes, ann_file='')
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        return DATASETS.build(options)


def test_pairs_of_rendered_frames_are_the_same_place(rooms):
    dataset = dataset_of(rooms)
    assert len(dataset) > 2
    for index in range(len(dataset)):
        inputs = dataset[index]['inputs']
        pairs = inputs['pairs'][inputs['is_pair']]
        first, second = (
            inputs['points'][view, pairs[:, view]] for view in (0, 1))
        assert len(pairs) >= 32
        assert ((first - second)[:, 3:6].norm(dim=1) < .0375).all()
        # Turned each in its own way, which changes no place.
        assert (first - second)[:, :3].norm(dim=1).max() > .3
        places = inputs['places'][inputs['is_pair']]
        torch.testing.assert_close(places, first[:, 3:6])
        cells = np.floor(places.numpy() / .1)
        assert len(np.unique(cells, axis=0)) == len(cells)


def test_two_draws_of_a_frame_where_frames_do_not_overlap(rooms):
    """With all pixels, a pair is the same pixel."""
    pipeline = read_config(CONFIG, {}).train_pipeline
    pipeline[0].transforms[0].update(
        num_points=None, columns=('pixel', 'origin'))
    dataset = dataset_of(rooms, pair='self', pipeline=pipeline)
    assert len(dataset) == 12
    inputs = dataset[0]['inputs']
    first, second = inputs['pairs'].T
    pixels = inputs['points'][..., 3]
    assert torch.equal(pixels[0, first], pixels[1, second])
    assert not torch.equal(inputs['points'][0, :, :3],
                           inputs['points'][1, :, :3])


def test_scenes_share_one_set():
    """Equal features cost log(B P); planted ones what InfoNCE says."""
    model = point_contrast()
    batch = make_batch()
    pairs = model.match(**prepared(model, batch))
    assert pairs.queries.shape == (2, NUM_PAIRS, CHANNELS)
    torch.testing.assert_close(
        pairs.keys.norm(dim=-1), torch.ones(2, NUM_PAIRS))
    equal = torch.ones_like(pairs.queries) / math.sqrt(CHANNELS)
    loss = model.contrast(pairs._replace(queries=equal, keys=equal))
    assert float(loss) == pytest.approx(math.log(2 * NUM_PAIRS))
    own = torch.eye(2 * 4).reshape(2, 4, 8)
    planted = pairs._replace(
        queries=own, keys=own, is_pair=torch.ones(2, 4, dtype=torch.bool))
    assert float(model.contrast(planted)) == pytest.approx(
        math.log1p(7 * math.exp(-1 / .4)))


def test_an_untrained_model_knows_nothing():
    model = point_contrast()
    loss = model.contrast(model.match(**prepared(model, make_batch())))
    assert loss.item() == pytest.approx(math.log(2 * NUM_PAIRS), rel=.05)


def test_rotation_about_z_changes_no_match(rooms):
    pipeline = read_config(CONFIG, {}).train_pipeline
    pipeline[0].transforms[1].rot_range = [0., 0.]
    turned, straight = dataset_of(rooms), dataset_of(rooms, pipeline=pipeline)
    for index in range(len(turned)):
        first, second = turned[index]['inputs'], straight[index]['inputs']
        for key in ('pairs', 'is_pair', 'places'):
            assert torch.equal(first[key], second[key])
        # Only x and y are turned.
        assert torch.equal(first['points'][..., 2:], second['points'][..., 2:])
        shift = (first['points'] - second['points'])[..., :2].norm(dim=-1)
        assert (shift.amax(1) > .01).all()


def test_pairs_that_fill_up_a_batch_change_nothing():
    model = point_contrast().eval()
    inputs = prepared(model, make_batch())
    loss = model.contrast(model.match(**inputs))
    filled = {
        name: torch.cat(
            [inputs[name], torch.zeros_like(inputs[name][:, :5])], 1)
        for name in ('pairs', 'is_pair', 'places')
    }
    torch.testing.assert_close(
        model.contrast(model.match(inputs['points'], **filled)), loss)
    swapped = dict(
        inputs, points=inputs['points'].flip(1), pairs=inputs['pairs'].flip(2))
    swapped = model.match(**swapped)
    torch.testing.assert_close(swapped.keys, model.match(**inputs).queries)


def slow_hardest(queries, keys, is_pair, is_candidate):
    """By loops over the points of one set."""
    total, used = 0., is_pair.nonzero().flatten().tolist()
    for i in used:
        apart = float((queries[i] - keys[i]).square().sum())
        total += max(apart - .1, 0.)
        for side, others in ((queries[i], keys), (keys[i], queries)):
            far = [
                float((side - others[j]).norm()) for j in used
                if j != i and is_candidate[i, j]
            ]
            if far:
                total += max(1.4 - min(far), 0.)**2 / 2
    return total / len(used)


def test_hardest_contrast_equals_a_slow_reference():
    queries, keys = unit(1, 12, 4), unit(1, 12, 4, seed=1)
    is_pair = torch.arange(12)[None] < 9
    near = torch.rand(12, 12, generator=torch.Generator().manual_seed(2)) < .3
    is_candidate = ~(near | near.T)[None]
    is_candidate[0, 3] = is_candidate[0, :, 3] = False
    loss = HardestContrastiveLoss()
    assert float(loss(queries, keys, is_pair, is_candidate)) == pytest.approx(
        slow_hardest(queries[0], keys[0], is_pair[0], is_candidate[0]),
        rel=1e-4)


def test_hardest_contrast_is_of_full_precision():
    arguments = (unit(1, 12,
                      4), unit(1, 12, 4,
                               seed=1), torch.ones(1, 12, dtype=torch.bool))
    loss = HardestContrastiveLoss()
    with torch.autocast('cpu', torch.bfloat16):
        found = loss(*arguments)
    torch.testing.assert_close(found, loss(*arguments), rtol=0, atol=0)


def test_hardest_contrast_of_known_features():
    """Nothing for pairs that agree and are far from all others."""
    loss = HardestContrastiveLoss()
    own = torch.eye(4)[None].requires_grad_()
    is_pair = torch.ones(1, 4, dtype=torch.bool)
    assert loss(own, own, is_pair) == 0
    equal = own[:, :1].expand(-1, 4, -1)
    value = loss(equal, equal, is_pair)
    assert value.item() == pytest.approx(1.4**2, rel=1e-3)
    value.backward()
    assert own.grad.isfinite().all()
    assert loss(equal, equal, ~is_pair) == 0


def test_points_of_one_place_are_not_hard_negatives():
    """Keys of the same features compete unless they are of the same place."""
    model = point_contrast(
        pair_loss=dict(type='HardestContrastiveLoss'), min_distance=.1)
    pairs = model.match(**prepared(model, make_batch(1)))
    own = torch.eye(4)[[0, 0, 1, 2]][None]
    places = torch.tensor([[[0., 0, 0], [.05, 0, 0], [1, 0, 0], [2, 0, 0]]])
    pairs = pairs._replace(
        queries=own,
        keys=own,
        places=places,
        is_pair=torch.ones(1, 4, dtype=torch.bool))
    assert model.contrast(pairs) == 0
    apart = pairs._replace(places=places * 4)
    assert float(model.contrast(apart)) == pytest.approx(1.4**2 / 2, rel=1e-3)


@pytest.mark.parametrize(
    'options, least',
    [
        (dict(pair_loss=INFO_NCE), .9),
        # Only the hardest of the others has a gradient, so it learns slowly.
        (dict(pair_loss=dict(type='HardestContrastiveLoss'),
              min_distance=.1), .5),
    ])
def test_points_of_one_pair_are_found(options, least):
    model, batch = point_contrast(**options), make_batch(1)
    first, last = overfit(model, batch, 240)
    assert last < first
    model.eval()
    assert found_share(model.match(**prepared(model, batch))) > least


@pytest.mark.parametrize('word', ['TwoViews', 'FindCorrespondences'])
def test_batches_without_views_or_pairs_are_refused(word):
    model, batch = point_contrast(), make_batch()
    if word == 'TwoViews':
        batch['inputs']['points'] = [p[0] for p in batch['inputs']['points']]
    else:
        del batch['inputs']['pairs'], batch['inputs']['places']
    with pytest.raises(UserError, match=word):
        losses_of(model, batch)


def test_views_count_as_frames_and_are_drawn():
    model, batch = point_contrast(), make_batch(2)
    model(**model.data_preprocessor(batch, True), mode='loss')
    assert int(model.frames_seen) == 4
    view = view_features(model, batch)
    assert view.points.shape == (4, 200, 3)
    assert view.features.shape[:2] == view.is_place.shape == (4, 200)
    assert model(prepared(model, batch)).shape == view.features.shape
