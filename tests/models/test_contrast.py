"""InfoNCE, queue and momentum encoder against closed forms."""
import math
from collections import deque

import pytest
import torch
import torch.nn.functional as F
from torch import distributed as dist
from torch import nn

from sam3d_plugin.models.losses import FeatureQueue, InfoNCELoss, QueuedKeys
from sam3d_plugin.models.pretrainers import MomentumEncoder
from sam3d_plugin.store.errors import UserError
from tests import processes

P, C = 6, 8


def features(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filled(keys):
    return QueuedKeys(keys, torch.ones(len(keys), dtype=torch.bool))


def test_closed_forms():
    """Equal features; orthogonal ones; a queue orthogonal to all."""
    loss = InfoNCELoss(temperature=.2)
    equal = torch.ones(1, P, C)
    assert loss(equal, equal).item() == pytest.approx(math.log(P))
    own = torch.eye(C)[None, :P]
    contrast = math.exp(-1 / .2)
    assert loss(own, own).item() == pytest.approx(
        math.log1p((P - 1) * contrast), rel=1e-4)
    queue = torch.eye(C)[P:]
    assert loss(
        own[:, :1], own[:, :1], queue=filled(queue)) == pytest.approx(
            math.log1p(len(queue) * contrast), rel=1e-4)


def test_it_equals_a_slow_reference():
    queries, keys = features(2, P, C), features(2, P, C, seed=1)
    is_pair = torch.rand(2, P) < .7
    is_pair[0, :2] = True
    is_candidate = torch.rand(2, P, P) < .5
    loss = InfoNCELoss(
        .1, normalize=False)(queries, keys, is_pair, is_candidate)
    values = []
    for scene, query in is_pair.nonzero().tolist():
        compared = [
            key for key in range(P) if is_pair[scene, key] and (
                key == query or is_candidate[scene, query, key])
        ]
        similarities = keys[scene, compared] @ queries[scene, query] / .1
        values.append(
            F.cross_entropy(similarities, torch.tensor(compared.index(query))))
    torch.testing.assert_close(loss, torch.stack(values).mean())


def test_it_is_symmetric_when_asked():
    queries, keys = features(1, P, C), features(1, P, C, seed=1)
    is_pair = torch.tensor([[True] * 4 + [False] * 2])
    plain, both = InfoNCELoss(), InfoNCELoss(symmetric=True)
    ways = plain(queries, keys, is_pair), plain(keys, queries, is_pair)
    assert ways[0] != pytest.approx(ways[1].item())
    torch.testing.assert_close(both(queries, keys, is_pair), sum(ways) / 2)


def test_the_mean_of_sets_is_that_of_one_set_at_a_time():
    """Also of a set without pairs, which counts as 0."""
    queries, keys = features(3, P, C), features(3, P, C, seed=1)
    is_pair = torch.arange(P) < torch.tensor([P, 2, 0])[:, None]
    plain = InfoNCELoss(symmetric=True)
    values = [
        plain(q[None], k[None], p[None])
        for q, k, p in zip(queries, keys, is_pair)
    ]
    found = InfoNCELoss(symmetric=True, mean='sets')(queries, keys, is_pair)
    torch.testing.assert_close(found, torch.stack(values).mean())
    with pytest.raises(UserError, match='sets'):
        InfoNCELoss(mean='frames')


@pytest.mark.parametrize('num_queued', [0, 3])
def test_soft_labels(num_queued):
    """The cross entropy of shares, in which queued keys have none."""
    queries, keys = features(1, 2, C), features(1, 2, C, seed=1)
    queued = features(num_queued, C, seed=2)
    labels = torch.tensor([[[.7, .3], [.1, .9]]])
    candidates = torch.cat((keys[0], queued))
    similarities = F.cosine_similarity(queries[0, :, None], candidates, dim=-1)
    shares = F.pad(labels[0], (0, num_queued))
    expected = -(shares * (similarities / .2).log_softmax(-1)).sum(-1).mean()
    queue = filled(queued) if num_queued else None
    torch.testing.assert_close(
        InfoNCELoss(.2)(queries, keys, labels=labels, queue=queue), expected)


def test_without_pairs_it_is_zero_and_has_a_gradient():
    queries = features(2, P, C).requires_grad_()
    loss = InfoNCELoss()(queries, features(2, P, C, seed=1),
                         torch.zeros(2, P, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and (queries.grad == 0).all()


def test_large_similarities_stay_finite_in_half_precision():
    queries = (1e3 * features(1, P, C)).bfloat16().requires_grad_()
    loss = InfoNCELoss(1e-3, normalize=False)(queries, queries.detach())
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(queries.grad).all()


def test_autocast_changes_nothing():
    queries, keys = features(1, P, C), features(1, P, C, seed=1)
    loss = InfoNCELoss(symmetric=True)
    expected = loss(queries, keys)
    with torch.autocast('cpu', torch.bfloat16):
        assert loss(queries, keys).equal(expected)


def test_queue_equals_a_deque():
    """Batches of all sizes."""
    queue, expected = FeatureQueue(7, 2), deque(maxlen=7)
    assert not queue().is_filled.any()
    sizes = torch.randint(
        1, 8, (50, ), generator=torch.Generator().manual_seed(0))
    for step, size in enumerate(sizes.tolist()):
        keys = features(size, 2, seed=step)
        queue.push(keys)
        expected.extend(keys.tolist())
        held = queue()
        held = held.features[held.is_filled].tolist()
        assert sorted(held) == sorted(expected)
    copied = FeatureQueue(7, 2)
    copied.load_state_dict(queue.state_dict())
    for each in (queue, copied):
        each.push(features(3, 2, seed=99))
    assert torch.equal(queue.features, copied.features)


def test_a_queue_smaller_than_the_batch_is_refused():
    queue = FeatureQueue(7, 2)
    queue.push(features(7, 2))
    with pytest.raises(UserError, match='smaller than a batch'):
        queue.push(features(8, 2))


def test_places_never_written_do_not_count():
    queue = FeatureQueue(5, C)
    queue.push(features(2, C))
    query = features(1, 1, C, seed=1)
    torch.testing.assert_close(
        InfoNCELoss()(query, query, queue=queue()),
        InfoNCELoss()(query, query, queue=filled(features(2, C))))


def push_one_of_two(rank, folder):
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    queue = FeatureQueue(9, C)
    for step in range(3):
        queue.push(features(4, C, seed=step)[rank::2])
    torch.save(queue.state_dict(), folder / f'{rank}.pth')
    dist.destroy_process_group()


def test_two_processes_fill_a_queue_as_one_does(tmp_path):
    processes.run_all(push_one_of_two, [(rank, tmp_path) for rank in range(2)])
    queue = FeatureQueue(9, C)
    for step in range(3):
        queue.push(features(4, C, seed=step))
    for rank in range(2):
        state = torch.load(tmp_path / f'{rank}.pth')
        torch.testing.assert_close(state, dict(queue.state_dict()))


def test_momentum_equals_the_closed_form():
    """m^n start + (1 - m) sum of m^(n - 1 - i) value_i."""
    network = nn.Linear(1, 1, bias=False)
    average = MomentumEncoder(network, .9)
    start = network.weight.item()
    for value in range(5):
        nn.init.constant_(network.weight, value)
        average.update(network)
    expected = .9**5 * start + .1 * sum(.9**(4 - i) * i for i in range(5))
    assert average.module.weight.item() == pytest.approx(expected)


def test_momentum_rises_and_has_no_gradient():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = MomentumEncoder(network, .5, 1.)
    moments = [average.momentum(progress) for progress in (0, .5, 1)]
    assert moments == pytest.approx([.5, .75, 1])
    assert not average(features(3, 2)).requires_grad
    assert not any(p.requires_grad for p in average.parameters())
    network(features(3, 2)).sum().backward()
    average.update(network)
    assert torch.equal(average.module[1].running_mean, network[1].running_mean)
    names = [name for name, _ in average.named_parameters()]
    assert names == [
        f'module.{name}' for name, _ in network.named_parameters()
    ]


@pytest.mark.parametrize('settings', [
    dict(start=1.2),
    dict(end=-1.),
])
def test_unusable_momentum_is_refused(settings):
    with pytest.raises(ValueError, match='momentum'):
        MomentumEncoder(nn.Linear(1, 1), **settings)
