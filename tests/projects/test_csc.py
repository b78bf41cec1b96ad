"""CSC's partition and its loss against known layouts and closed forms."""
import math

import pytest
import torch

from projects.csc import PartitionedInfoNCELoss
from projects.csc.csc import scene_partition
from sam3d_plugin.models.losses import InfoNCELoss
from tests.projects.pair_cases import (NUM_PAIRS, build_pairs, found_share,
                                       make_batch, overfit, prepared, turned,
                                       unit)

# The first point, one too near, and one in each bin.
LAYOUT = torch.tensor([[0., 0, 0], [.02, 0, .03], [.2, 0, -.1], [.2, 0, .1],
                       [1, 0, -.1], [1, 0, .1]])[None]


def places_of(seed=0, count=30):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, count, 3, generator=generator) * 1.5


def csc(**options):
    return build_pairs(
        'CSC', pair_loss=dict(type='PartitionedInfoNCELoss', **options))


def test_bins_of_a_known_layout():
    bins = scene_partition(LAYOUT)[0]
    assert bins[0].tolist() == [-1, -1, 0, 1, 2, 3]
    assert scene_partition(
        LAYOUT, by_height=False)[0][0].tolist() == [-1, -1, 0, 0, 1, 1]
    # Level points, and those on a radius.
    level = torch.tensor([[[0., 0, 0], [.2, 0, 0], [.5, 0, 0]]])
    assert (scene_partition(level) == -1).all()
    assert scene_partition(level, by_height=False)[0][0].tolist() == [-1, 0, 0]


def test_bins_and_what_is_left_out_are_all_pairs():
    """Above from one point is below from the other."""
    places = places_of()
    bins = scene_partition(places)
    distances = torch.cdist(places, places)
    assert ((bins == -1) == (distances <= .05)).all()
    assert sorted(bins.unique().tolist()) == [-1, 0, 1, 2, 3]
    mirrored, kept = bins.transpose(1, 2), bins >= 0
    assert (mirrored[kept] == bins[kept] ^ 1).all()
    assert ((bins // 2 == 0) == ((distances > .05) & (distances <= .5))).all()


def test_rotation_about_z_changes_no_bin():
    places = places_of()
    angle = torch.tensor(1.)
    rotated = torch.stack([turned(scene, angle) for scene in places])
    assert scene_partition(rotated).equal(scene_partition(places))


def test_one_bin_is_contrast_within_the_scene():
    queries, keys = unit(2, 30, 8), unit(2, 30, 8, seed=1)
    is_pair = torch.arange(30)[None].expand(2, -1) < 24
    one = PartitionedInfoNCELoss(radii=(0., ), by_height=False)
    torch.testing.assert_close(
        one(queries, keys, is_pair, places_of()),
        InfoNCELoss(.4)(queries, keys, is_pair))


@pytest.mark.parametrize('normalize', ['filled', 'published'])
def test_equal_features(normalize):
    """Each bin costs log(1 + its number of points)."""
    places = places_of()
    equal = torch.ones(2, 30, 4) / 2
    is_pair = torch.ones(2, 30, dtype=torch.bool)
    loss = PartitionedInfoNCELoss(normalize=normalize)(equal, equal, is_pair,
                                                       places)
    bins = scene_partition(places)
    counts = torch.stack([(bins == i).sum(-1) for i in range(4)], 1).float()
    scenes = [(values.log1p() if normalize == 'published' else
               values[values > 0].log1p()).mean() for values in counts]
    assert (counts == 0).any()
    torch.testing.assert_close(loss, torch.stack(scenes).mean())


def test_it_equals_a_slow_reference():
    queries, keys, places = unit(1, 12, 4), unit(
        1, 12, 4, seed=1), places_of(count=12)[:1]
    is_pair = torch.arange(12)[None] != 5
    losses = []
    bins = scene_partition(places)[0]
    for i in range(12):
        for part in range(4):
            compared = [
                j for j in range(12) if j != 5 and int(bins[i, j]) == part
            ]
            if i == 5 or not compared:
                continue
            logits = keys[0, [i, *compared]] @ queries[0, i] / .4
            losses.append(float(logits.logsumexp(0) - logits[0]))
    loss = PartitionedInfoNCELoss()(queries, keys, is_pair, places)
    assert float(loss) == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_scenes_without_pairs():
    """Zero, with a gradient of zero; half of the other scene's loss."""
    queries = unit(2, 30, 4).requires_grad_()
    keys, places = unit(2, 30, 4, seed=1), places_of()
    loss = PartitionedInfoNCELoss()
    none = torch.zeros(2, 30, dtype=torch.bool)
    value = loss(queries, keys, none, places)
    value.backward()
    assert value == 0 and (queries.grad == 0).all()
    one = none.clone()
    one[0] = True
    torch.testing.assert_close(
        loss(queries, keys, one, places) * 2,
        loss(queries[:1], keys[:1], one[:1], places[:1]))


def test_scenes_are_not_compared():
    model = csc().eval()
    batch = make_batch(2)
    pairs = model.match(**prepared(model, batch))
    assert pairs.queries.shape[:2] == (2, NUM_PAIRS)
    alone = [
        model.contrast(type(pairs)(*(values[i:i + 1] for values in pairs)))
        for i in range(2)
    ]
    torch.testing.assert_close(model.contrast(pairs), sum(alone) / 2)


def test_an_untrained_model_knows_nothing():
    model = csc().eval()
    pairs = model.match(**prepared(model, make_batch()))
    equal = torch.ones_like(pairs.queries) / math.sqrt(pairs.queries.shape[-1])
    expected = model.contrast(pairs._replace(queries=equal, keys=equal))
    assert model.contrast(pairs).item() == pytest.approx(
        expected.item(), rel=.05)


def test_points_of_one_pair_are_found():
    model, batch = csc(), make_batch(1)
    first, last = overfit(model, batch, 240)
    model.eval()
    assert last < first
    assert found_share(model.match(**prepared(model, batch))) > .9


def test_it_is_of_full_precision():
    arguments = (unit(2, 30, 8), unit(2, 30, 8, seed=1),
                 torch.ones(2, 30, dtype=torch.bool), places_of())
    loss = PartitionedInfoNCELoss()
    with torch.autocast('cpu', torch.bfloat16):
        found = loss(*arguments)
    torch.testing.assert_close(found, loss(*arguments), rtol=0, atol=0)


@pytest.mark.parametrize('options, word',
                         [(dict(normalize='all'), 'normalize'),
                          (dict(radii=()), 'radii'),
                          (dict(radii=(.5, .05)), 'radii')])
def test_refuses(options, word):
    with pytest.raises(ValueError, match=word):
        PartitionedInfoNCELoss(**options)
