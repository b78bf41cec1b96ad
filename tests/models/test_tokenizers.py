"""Tokens keep region borders, hold every point once, ignore point order."""
import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS

import sam3d_plugin  # noqa: F401 (registers)


def make_scene(num_points=600, num_scenes=2, seed=0):
    """Points with regions of 1 to 150 points, a fifth of them in none."""
    generator = torch.manual_seed(seed)
    points = torch.rand(num_scenes, num_points, 3, generator=generator)
    sizes = torch.tensor([1, 15, 16, 17, 80, 150, 60])
    ids = torch.repeat_interleave(torch.tensor([9, 4, 2, 30, 5, 7, 1]), sizes)
    ids = torch.cat((ids, ids.new_zeros(num_points - len(ids))))
    shuffled = [
        ids[torch.randperm(num_points, generator=generator)]
        for _ in range(num_scenes)
    ]
    return points, torch.stack(shuffled)


def build(**kwargs):
    return MODELS.build(dict(type='SAMTokenizer', **kwargs))


def members_of(tokens, token):
    """Flat point indices of one flat token."""
    begin, end = tokens.member_offsets[token:token + 2].tolist()
    return tokens.member_points[begin:end]


def check_tokens(tokens, points, region_ids, kept):
    """What holds for SAM tokens of either mode."""
    num_scenes, num_points, _ = points.shape
    num_tokens = tokens.centers.shape[1]
    # every point in exactly one token
    assert sorted(tokens.member_points.tolist()) == list(
        range(num_scenes * num_points))
    flat_points, flat_ids = points.reshape(-1, 3), region_ids.reshape(-1)
    for token in range(num_scenes * num_tokens):
        scene, place = divmod(token, num_tokens)
        members = members_of(tokens, token)
        if tokens.is_padding[scene, place]:
            assert len(members) == 0
            continue
        # no token of a region holds a point of another
        token_id = tokens.region_ids[scene, place]
        ids = set(flat_ids[members].tolist())
        assert ids == {int(token_id)} if token_id else ids.isdisjoint(kept)
        assert (tokens.point_tokens.reshape(-1)[members] == place).all()
        center = flat_points[members].mean(0)
        torch.testing.assert_close(
            tokens.centers[scene, place], center, atol=1e-6, rtol=1e-6)
        anchor = scene * num_points + tokens.anchor_indices[scene, place]
        assert anchor in members
        distances = (flat_points[members] - center).norm(dim=1)
        assert (flat_points[anchor] - center).norm() <= distances.min() + 1e-6


def test_one_token_per_region():
    points, region_ids = make_scene()
    tokens = build(points_per_rest_token=100)(points, region_ids)
    check_tokens(tokens, points, region_ids, {1, 2, 5, 7, 30})
    # 277 of the 600 points lie in no region of 16 points: 3 tokens of them
    assert tokens.region_ids[0].tolist() == [1, 2, 5, 7, 30, 0, 0, 0]
    assert not tokens.is_padding.any()


def test_scenes_are_padded_to_the_same_number():
    points, region_ids = make_scene()
    region_ids[1] = 3
    tokens = build(points_per_rest_token=100)(points, region_ids)
    check_tokens(tokens, points, region_ids, {1, 2, 3, 5, 7, 30})
    assert tokens.is_padding.sum(1).tolist() == [0, 7]
    assert tokens.region_ids[1].tolist() == [3] + 7 * [0]
    assert tokens.member_counts[1].tolist() == [600] + 7 * [0]


def test_only_the_largest_regions_are_kept():
    points, region_ids = make_scene()
    tokens = build(num_tokens=2)(points, region_ids)
    check_tokens(tokens, points, region_ids, {5, 7})
    assert tokens.region_ids[0, :3].tolist() == [5, 7, 0]


@pytest.mark.parametrize('num_tokens', [3, 6, 40, 600])
def test_split_gives_exactly_n_tokens(num_tokens):
    points, region_ids = make_scene()
    tokens = build(split=True, num_tokens=num_tokens)(points, region_ids)
    kept = {3: {5, 7}, 6: {1, 2, 5, 7, 30}}.get(num_tokens, {1, 2, 5, 7, 30})
    check_tokens(tokens, points, region_ids, kept)
    assert tokens.centers.shape == (2, num_tokens, 3)
    assert not tokens.is_padding.any()
    assert (tokens.member_counts > 0).all()


def test_split_shares_out_by_points_per_token():
    """160 + 80 + 60 points and 9 tokens: 5, 2 and 2."""
    ids = torch.repeat_interleave(
        torch.tensor([4, 6, 8]), torch.tensor([160, 80, 60]))[None]
    points = torch.rand(1, 300, 3, generator=torch.manual_seed(0))
    tokens = build(split=True, num_tokens=9)(points, ids)
    assert tokens.region_ids[0].tolist() == 5 * [4] + 2 * [6] + 2 * [8]


def test_split_survives_equal_points():
    ids = torch.ones(1, 50, dtype=torch.int64)
    tokens = build(split=True, num_tokens=50)(torch.zeros(1, 50, 3), ids)
    assert (tokens.member_counts == 1).all()


@pytest.mark.parametrize(
    'config',
    [dict(),
     dict(split=True, num_tokens=6),
     dict(split=True, num_tokens=64)])
def test_permuting_points_permutes_nothing_else(config):
    """Splitting starts at a region's first point, so that one stays first."""
    points, region_ids = make_scene(num_scenes=1)
    source = region_ids[0].clone()
    source[~torch.isin(source, torch.tensor([1, 2, 5, 7, 30]))] = 0
    firsts = torch.tensor(
        [int((source == i).nonzero()[0]) for i in source.unique()])
    others = torch.tensor(sorted(set(range(600)) - set(firsts.tolist())))
    order = torch.cat(
        (firsts,
         others[torch.randperm(len(others), generator=torch.manual_seed(1))]))
    tokenizer = build(**config)
    before = tokenizer(points, region_ids)
    after = tokenizer(points[:, order], region_ids[:, order])
    assert after.region_ids.tolist() == before.region_ids.tolist()
    assert after.point_tokens[0].tolist() == before.point_tokens[
        0, order].tolist()
    torch.testing.assert_close(after.centers, before.centers)
    assert order[after.anchor_indices[0]].tolist() == \
        before.anchor_indices[0].tolist()


def test_large_ids_do_not_make_large_tables():
    points, region_ids = make_scene()
    expected = build(split=True, num_tokens=32)(points, region_ids)
    region_ids[region_ids > 0] += 2**24 - 30
    tokens = build(split=True, num_tokens=32)(points, region_ids)
    assert tokens.region_ids.max() == 2**24
    assert tokens.point_tokens.equal(expected.point_tokens)


def test_sam_tokenizer_refuses():
    points, region_ids = make_scene()
    with pytest.raises(ValueError, match='LoadRegionIds'):
        build()(points)
    with pytest.raises(ValueError, match='at least 601 points.*got 600'):
        build(split=True, num_tokens=601)(points, region_ids)
    with pytest.raises(ValueError, match='at least 1 points.*got 0'):
        build()(points[:, :0], region_ids[:, :0])


def test_knn_tokenizer_against_loops():
    points = torch.rand(2, 100, 3, generator=torch.manual_seed(0))
    tokens = MODELS.build(
        dict(type='KNNTokenizer', num_tokens=8, num_neighbors=12))(
            points)
    assert not tokens.is_padding.any() and tokens.region_ids.sum() == 0
    for scene in range(2):
        xyz = points[scene].numpy()
        chosen, nearest = [0], np.full(100, np.inf)
        for _ in range(8):
            nearest = np.minimum(nearest, ((xyz - xyz[chosen[-1]])**2).sum(1))
            chosen.append(int(nearest.argmax()))
        assert tokens.anchor_indices[scene].tolist() == chosen[:8]
        for token in range(8):
            center = tokens.centers[scene, token].numpy()
            assert (center == xyz[chosen[token]]).all()
            expected = np.argsort(((xyz - center)**2).sum(1))[:12]
            members = members_of(tokens, scene * 8 + token) - scene * 100
            assert sorted(members.tolist()) == sorted(expected.tolist())


def test_knn_tokenizer_refuses_too_few_points():
    tokenizer = MODELS.build(
        dict(type='KNNTokenizer', num_tokens=4, num_neighbors=12))
    with pytest.raises(ValueError, match='at least 12 points'):
        tokenizer(torch.rand(1, 11, 3))
