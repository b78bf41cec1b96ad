"""Token features to points, against loops."""
import pytest
import torch

from sam3d_plugin.ops.propagation import (propagate_own_token,
                                          propagate_three_nn)


def make_scene(num_points=40, num_tokens=7, channels=5, seed=0):
    generator = torch.manual_seed(seed)
    points = torch.rand(2, num_points, 3, generator=generator)
    centers = torch.rand(2, num_tokens, 3, generator=generator)
    features = torch.rand(2, num_tokens, channels, generator=generator)
    owners = torch.randint(num_tokens, (2, num_points), generator=generator)
    return points, centers, features, owners


def interpolate_slowly(point, centers, features):
    """The published rule, one point at a time, in double precision."""
    distances = (centers.double() - point.double()).norm(dim=1)
    nearest = distances.argsort()[:3]
    weights = 1 / (distances[nearest] + 1e-8)
    return (features.double()[nearest] *
            (weights / weights.sum())[:, None]).sum(0), nearest[0]


def test_three_nn_equals_a_loop():
    points, centers, features, _ = make_scene()
    mixed, offsets = propagate_three_nn(points, centers, features)
    for scene in range(2):
        for n, point in enumerate(points[scene]):
            expected, nearest = interpolate_slowly(point, centers[scene],
                                                   features[scene])
            torch.testing.assert_close(mixed[scene, n].double(), expected)
            assert offsets[scene, n].equal(point - centers[scene, nearest])


def test_own_token_is_exact():
    points, centers, features, owners = make_scene()
    own, offsets = propagate_own_token(points, centers, features, owners)
    for scene in range(2):
        for n, token in enumerate(owners[scene]):
            assert own[scene, n].equal(features[scene, token])
            assert offsets[scene,
                           n].equal(points[scene, n] - centers[scene, token])


def test_point_on_a_centre_gets_its_feature():
    _, centers, features, _ = make_scene()
    mixed, offsets = propagate_three_nn(centers, centers, features)
    torch.testing.assert_close(mixed, features, atol=1e-5, rtol=0)
    assert offsets.abs().max() == 0


@pytest.mark.parametrize('num_tokens', [1, 2])
def test_fewer_than_three_tokens_count_as_those_there_are(num_tokens):
    points, centers, features, _ = make_scene(num_tokens=num_tokens)
    mixed, _ = propagate_three_nn(points, centers, features)
    expected, _ = interpolate_slowly(points[0, 0], centers[0], features[0])
    torch.testing.assert_close(mixed[0, 0].double(), expected)


@pytest.mark.parametrize('own', [True, False])
def test_gradient_of_a_token_is_the_weight_it_has(own):
    points, centers, features, owners = make_scene()
    features.requires_grad_()
    if own:
        out, _ = propagate_own_token(points, centers, features, owners)
    else:
        out, _ = propagate_three_nn(points, centers, features)
    out.sum().backward()
    # every point deals out a weight of one
    torch.testing.assert_close(
        features.grad.sum(dim=1), torch.full((2, 5), 40.))
    if own:
        counts = torch.stack(
            [torch.bincount(row, minlength=7) for row in owners])
        assert features.grad[..., 0].equal(counts.float())


def test_padded_tokens_have_no_part():
    """Whatever their features, which are undefined."""
    points, centers, features, _ = make_scene()
    is_padding = torch.zeros(centers.shape[:2], dtype=torch.bool)
    is_padding[:, -2:] = True
    expected = propagate_three_nn(points, centers[:, :-2], features[:, :-2])
    features[:, -2:] = torch.nan
    found = propagate_three_nn(points, centers, features, is_padding)
    for mine, theirs in zip(found, expected):
        torch.testing.assert_close(mine, theirs)
