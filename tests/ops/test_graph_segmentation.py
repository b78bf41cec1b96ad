"""The graph segmentation against a plain loop, and what it promises."""
import numpy as np
import pytest

from sam3d_plugin.ops.graph_segmentation import segment_graph


def slow_segments(sources, targets, weights, num_nodes, scale, min_size):
    """Felzenszwalb and Huttenlocher with sets, word for word."""
    members = {node: {node} for node in range(num_nodes)}
    owner = list(range(num_nodes))
    heaviest = [0.] * num_nodes

    def join(a, b, weight):
        for node in members[b]:
            owner[node] = a
        members[a] |= members.pop(b)
        heaviest[a] = weight

    order = sorted(range(len(weights)), key=lambda e: (weights[e], e))
    for edge in order:
        a, b = owner[sources[edge]], owner[targets[edge]]
        inner = min(heaviest[s] + scale / len(members[s]) for s in (a, b))
        if a != b and weights[edge] <= inner:
            join(a, b, weights[edge])
    for edge in order:
        a, b = owner[sources[edge]], owner[targets[edge]]
        if a != b and min(len(members[a]), len(members[b])) < min_size:
            join(a, b, 0)
    numbers = {}
    return [numbers.setdefault(label, len(numbers)) for label in owner]


def random_graph(seed, num_nodes=60, num_edges=150, levels=12):
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, num_nodes, (2, num_edges))
    return (*ends, rng.integers(0, levels, num_edges))


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('scale, min_size', [(5, 1), (20, 1), (20, 6)])
def test_it_equals_the_plain_loop_also_with_ties(seed, scale, min_size):
    sources, targets, weights = random_graph(seed)
    expected = slow_segments(sources, targets, weights, 60, scale, min_size)
    for kind in (np.uint16, np.float32, np.float64):
        found = segment_graph(sources, targets, weights.astype(kind), 60,
                              scale, min_size)
        assert found.tolist() == expected
    assert 1 < len(set(expected)) < 60


def test_without_edges_every_node_is_a_segment():
    none = np.zeros(0, np.int64)
    assert segment_graph(none, none, none, 3, 1, 5).tolist() == [0, 1, 2]
    assert segment_graph(none, none, none, 0, 1).tolist() == []


def test_parts_without_a_connection_stay_apart():
    labels = segment_graph(
        np.array([0, 3]), np.array([1, 4]), np.array([1., 1.]), 5, 100, 4)
    assert labels.tolist() == [0, 0, 1, 2, 2]


def test_two_flat_halves_are_cut_at_the_step():
    chain = np.arange(9)
    weights = np.where(chain == 4, 10., 0.)
    labels = segment_graph(chain, chain + 1, weights, 10, 20.)
    assert labels.tolist() == [0] * 5 + [1] * 5
    # 0 + 51 / 5 lets the step through.
    assert segment_graph(chain, chain + 1, weights, 10, 51.).max() == 0


def test_small_segments_join_over_their_lightest_edge():
    labels = segment_graph(
        np.array([0, 1, 2, 3]), np.array([1, 2, 3, 4]),
        np.array([0., 9., 5., 0.]), 5, .1, 2)
    assert labels.tolist() == [0, 0, 1, 1, 1]


def test_sizes_count_as_that_many_nodes():
    ends = np.array([0]), np.array([1]), np.array([3.])
    assert segment_graph(*ends, 2, 6).tolist() == [0, 0]
    sizes = np.array([1, 3])
    assert segment_graph(*ends, 2, 6, sizes=sizes).tolist() == [0, 1]
    assert sizes.tolist() == [1, 3]


@pytest.mark.parametrize('change, message', [
    (dict(sources=np.array([0, 5])), 'nodes 0 to 5 of a graph of 3'),
    (dict(targets=np.array([-1, 0])), 'nodes -1 to 0'),
    (dict(weights=np.array([1., np.nan])), 'NaN or negative'),
    (dict(weights=np.array([1., -1.])), 'NaN or negative'),
    (dict(weights=np.array([1.])), '2 sources, 2 targets and 1 weights'),
    (dict(sizes=np.ones(2, int)), '2 sizes for 3 nodes'),
])
def test_a_wrong_graph_is_refused(change, message):
    graph = dict(
        sources=np.array([0, 1]),
        targets=np.array([1, 2]),
        weights=np.array([1., 1.]),
        num_nodes=3,
        scale=1.)
    with pytest.raises(ValueError, match=message):
        segment_graph(**{**graph, **change})
