"""PPT against plain norms, closed forms and planted classes."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData
from torch import nn

import projects.ppt  # noqa: F401 (registers)
from projects.ppt.domain_norm import DomainNorm
from projects.ppt.text_head import compare
from sam3d_plugin.ops.propagation import interpolate_tokens
from sam3d_plugin.store.class_embeddings import (ClassEmbeddings,
                                                 write_class_embeddings)
from sam3d_plugin.store.errors import StoreError, UserError
from tests.models.pretraining_cases import BACKBONE, KNN, build, losses_of

DOMAINS = dict(a=['wall', 'floor', 'chair'], b=['chair', 'ceiling'])


def make(**changes):
    backbone = dict(
        BACKBONE,
        tokenizer=KNN,
        encoder=dict(BACKBONE['encoder'], drop_path=0.))
    head = dict(
        type='TextAlignedSegHead',
        class_embeddings='random',
        in_channels=32,
        out_channels=16)
    head.update(changes.pop('head', {}))
    model = build(
        dict(
            dict(type='PPT', domains=DOMAINS, context_channels=8),
            backbone=backbone,
            head=head), **changes)
    model._dump_init_info = lambda: None  # hundreds of lines
    model.init_weights()
    return model.train()


def make_batch(domain='a', seed=0, num_points=150):
    """Two scenes whose classes are slices of x; each tenth has no label."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(2, num_points, 3, generator=generator) * 3
    count = len(DOMAINS.get(domain, 'xy'))
    labels = (points[..., 0] / 3 * count).long()
    labels[:, ::10] = -1
    samples = []
    for row in labels:
        samples.append(Det3DDataSample(metainfo=dict(domain=domain)))
        samples[-1].gt_pts_seg = PointData(pts_semantic_mask=row)
    return dict(inputs=dict(points=list(points)), data_samples=samples)


def turn_modulations(model):
    """Scales and shifts that are not 0."""
    torch.manual_seed(1)
    for norm in model.domain_norms:
        nn.init.normal_(norm.modulation.weight, std=.1)
        nn.init.normal_(norm.modulation.bias, std=.1)


def with_tensors(norm, tensors, x):
    return torch.func.functional_call(norm, tensors, (x, ))


@pytest.mark.parametrize('norm', [nn.BatchNorm1d(6), nn.LayerNorm(6)])
def test_a_norm_of_a_data_set_is_a_norm_that_is_scaled_and_shifted(norm):
    """At the start it is the norm itself."""
    torch.manual_seed(0)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    domains, context = DomainNorm(norm, 2, 4), torch.randn(4)
    x = torch.randn(30, 6)
    expected = norm(x)
    torch.testing.assert_close(
        with_tensors(norm, domains(1, context), x), expected)
    nn.init.normal_(domains.modulation.weight)
    nn.init.normal_(domains.modulation.bias)
    shift, scale = domains.modulation(F.silu(context)).split(6)
    torch.testing.assert_close(
        with_tensors(norm, domains(1, context), x),
        expected * (1 + scale) + shift)


def test_one_data_set_trains_as_the_encoder_without_it():
    """Losses, gradients and statistics are those of plain norms."""
    model, plain = (make(domains=dict(a=DOMAINS['a'])) for _ in 'ab')
    plain.backbone.requires_grad_(True)
    plain.encode = lambda points, _: plain.backbone.encode(points)
    losses = [losses_of(m, make_batch())['loss_class'] for m in (model, plain)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    for name, norm in zip(model.norm_names, model.domain_norms):
        theirs = plain.backbone.get_submodule(name)
        for part in ('weight', 'bias'):
            torch.testing.assert_close(
                getattr(norm, part).grad[0],
                getattr(theirs, part).grad)
    model.fold()
    for name, value in plain.backbone.state_dict().items():
        torch.testing.assert_close(model.backbone.state_dict()[name], value)


def test_a_batch_changes_the_statistics_of_its_data_set_alone():
    model = make()
    before = model.domain_norms.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    losses_of(model, make_batch('b'))
    changed = set()
    for name, value in model.domain_norms.state_dict().items():
        if 'modulation' not in name:
            assert value[0].equal(before[name][0]), name
            changed |= set() if value[1].equal(before[name][1]) else {name}
    kinds = {name.rpartition('.')[2] for name in changed}
    assert kinds == {'running_mean', 'running_var', 'num_batches_tracked'}


def test_a_batch_trains_the_norms_of_its_data_set_alone():
    model = make()
    turn_modulations(model)
    losses_of(model, make_batch('b'))['loss_class'].backward()
    for norm in model.domain_norms:
        for part in ('weight', 'bias'):
            gradient = getattr(norm, part).grad
            assert not gradient[0].any() and gradient[1].any()
    assert not model.contexts.grad[0].any() and model.contexts.grad[1].any()
    for name in model.norm_names:
        for value in model.backbone.get_submodule(name).parameters():
            assert value.grad is None


def test_checkpoints_have_the_encoder_of_the_first_data_set():
    """Whatever reads them, and what hooks look at."""
    model = make()
    for domain in 'abab':
        losses_of(model, make_batch(domain))
    turn_modulations(model)
    batch = make_batch()
    points = torch.stack(batch['inputs']['points'])
    plain = MODELS.build(
        dict(BACKBONE, tokenizer=KNN, encoder=BACKBONE['encoder']))
    state = model.state_dict()
    plain.load_state_dict({
        name.removeprefix('backbone.'): value
        for name, value in state.items() if name.startswith('backbone.')
    })
    model.eval(), plain.eval()
    with torch.no_grad():
        expected = plain.encode(points)[1]
        torch.testing.assert_close(model.encode(points, 'a')[1], expected)
        assert not model.encode(points, 'b')[1].allclose(expected, atol=1e-3)
        for look in (lambda: model(dict(points=points)),
                     lambda: model.view(dict(points=points)).features):
            for parameter in model.domain_norms.parameters():
                parameter += .1
            found, (tokens, features) = look(), model.encode(points, 'a')
            assert not features.allclose(expected, atol=1e-3)
            torch.testing.assert_close(
                found,
                interpolate_tokens(points, tokens.centers, features,
                                   tokens.is_padding))


def test_pretrained_norms_are_those_of_every_data_set():
    model = make()
    name = model.norm_names[0]
    nn.init.constant_(model.backbone.get_submodule(name).weight, 3.)
    model.domain_norms[0].restart(model.backbone.get_submodule(name))
    assert (model.domain_norms[0].weight == 3).all()


def test_what_is_no_class_of_a_data_set_has_no_logit():
    head = make().head
    features = torch.randn(2, 7, 32)
    assert head.names == ['wall', 'floor', 'chair', 'ceiling']
    logits = {domain: head(features, domain) for domain in DOMAINS}
    assert [value.shape[-1] for value in logits.values()] == [3, 2]
    torch.testing.assert_close(logits['a'][..., 2], logits['b'][..., 0])
    with torch.no_grad():
        head.embeddings[head.names.index('ceiling')] *= -1
    assert head(features, 'a').equal(logits['a'])
    assert not head(features, 'b').equal(logits['b'])


def test_logits_are_a_hundred_cosines():
    head = make().head
    features = torch.randn(2, 7, 32)
    found = head(features, 'a')
    rows = head.embeddings[:3]
    for i in range(2):
        for j in range(7):
            cosines = F.cosine_similarity(head.proj(features[i, j]), rows)
            torch.testing.assert_close(found[i, j], 100 * cosines)
    torch.testing.assert_close(head.embeddings @ head.embeddings.T,
                               torch.eye(4))
    with torch.autocast('cpu', torch.bfloat16):
        assert head(features, 'a').dtype == torch.float32


@pytest.mark.parametrize('domain, count', [('a', 3), ('b', 2)])
def test_a_head_that_says_nothing_costs_the_logarithm_of_its_classes(
        domain, count):
    model = make()
    nn.init.zeros_(model.head.proj.weight)
    loss = losses_of(model, make_batch(domain))['loss_class']
    assert loss.item() == pytest.approx(math.log(count))


def test_an_untrained_head_costs_what_random_vectors_do():
    """In 512 dimensions, cosines are normal numbers of variance 1 / 512."""
    torch.manual_seed(0)
    head = make(
        domains=dict(a=[str(i) for i in range(20)]),
        head=dict(out_channels=512)).head
    nn.init.normal_(head.proj.weight)
    labels = torch.randint(20, (2, 2000))
    with torch.no_grad():
        loss = compare(head(torch.randn(2, 2000, 32), 'a'), labels)
    draws = np.random.default_rng(0).normal(size=(20000, 20))
    draws *= 100 / math.sqrt(512)
    expected = np.log(np.exp(draws).sum(1)).mean()
    assert loss['loss_class'].item() == pytest.approx(expected, rel=.05)
    assert loss['accuracy'].item() == pytest.approx(1 / 20, abs=.02)


def test_the_embedding_of_a_class_is_the_class():
    model = make()
    batch = make_batch()
    labels = torch.stack(
        [s.gt_pts_seg.pts_semantic_mask for s in batch['data_samples']])
    planted = model.head.embeddings[labels.clamp(min=0)]
    logits = 100 * planted @ model.head.embeddings[:3].T
    losses = compare(logits, labels)
    assert losses['accuracy'] == 1 and losses['loss_class'] < 1e-6
    logits[labels < 0] = torch.tensor([9., 7., 50.])
    assert compare(logits, labels)['loss_class'].equal(losses['loss_class'])


@pytest.mark.parametrize('label', [-1, 3, 20])
def test_other_labels_are_none(label):
    model, batch = make(), make_batch()
    expected = losses_of(model, batch)
    for sample in batch['data_samples']:
        mask = sample.gt_pts_seg.pts_semantic_mask
        mask[mask < 0] = label
    for name, value in losses_of(model, batch).items():
        torch.testing.assert_close(value, expected[name])


def test_points_that_do_not_predict_are_in_the_tokens():
    model = make(num_points=60)
    batch = make_batch()
    expected = losses_of(model, batch)['loss_class']
    for sample in batch['data_samples']:
        sample.gt_pts_seg.pts_semantic_mask[60:] = 1
    torch.testing.assert_close(losses_of(model, batch)['loss_class'], expected)
    for points in batch['inputs']['points']:
        points[60:] *= 2
    assert not losses_of(model, batch)['loss_class'].equal(expected)


def test_two_data_sets_are_learned_by_heart():
    """Though what is class 0 of one is class 1 of the other."""
    model = make()
    batches = [make_batch('a'), make_batch('b', seed=5)]
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=3e-3)
    totals = []
    for _ in range(150):
        losses = [losses_of(model, batch) for batch in batches]
        total = sum(loss['loss_class'] for loss in losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
        if totals[-1] < .01 * totals[0]:
            break
    assert totals[-1] < .02 * totals[0]
    assert all(loss['accuracy'] > .85 for loss in losses)


@pytest.mark.parametrize('change, word', [
    (lambda samples: samples[0].set_metainfo(dict(domain='b')), 'mixes'),
    (lambda samples: [s.set_metainfo(dict(domain='c'))
                      for s in samples], 'none of'),
    (lambda samples: samples.clear(), 'None'),
    (lambda samples: delattr(samples[1], 'gt_pts_seg'), 'without labels'),
])
def test_unusable_batches_are_refused(change, word):
    model, batch = make(), make_batch()
    change(batch['data_samples'])
    with pytest.raises(UserError, match=word):
        losses_of(model, batch)


@pytest.mark.parametrize('found, word', [
    (dict(a=('wall', 'chair', 'floor'), b=('chair', 'ceiling')), 'domains.a'),
    (dict(a=('wall', 'floor', 'chair')), 'domains.b'),
    (dict({
        k: tuple(v)
        for k, v in DOMAINS.items()
    }, c=('bed', )), 'domains.c'),
])
def test_classes_are_those_of_the_data(found, word):
    model = make()
    model.use_metainfo(dict(domains={k: tuple(v) for k, v in DOMAINS.items()}))
    with pytest.raises(UserError, match=word):
        model.use_metainfo(dict(domains=found))


def test_text_features_come_from_a_file(tmp_path):
    """Rows by name; checkpoints need no file."""
    path = tmp_path / 'classes.npz'
    names = ['ceiling', 'chair', 'bed', 'wall', 'floor']
    rows = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    write_class_embeddings(path, ClassEmbeddings(names, rows, 'clip'))
    model = make(head=dict(class_embeddings=str(path)))
    assert model.checkpoint_meta == dict(class_embeddings=None)
    model.use_metainfo({})
    assert model.checkpoint_meta == dict(class_embeddings='clip')
    expected = torch.from_numpy(rows[[3, 4, 1, 0]])
    assert model.head.embeddings.equal(expected)
    other = make(head=dict(class_embeddings='missing.npz'))
    other.load_state_dict(model.state_dict())
    assert other.head.embeddings.equal(expected)
    with pytest.raises(FileNotFoundError, match='missing.npz'):
        other.use_metainfo({})


@pytest.mark.parametrize('names, width, word', [
    (['wall', 'floor', 'chair'], 16, 'ceiling'),
    (['wall', 'floor', 'chair', 'ceiling'], 8, 'out_channels=8'),
])
def test_other_text_features_are_refused(names, width, word, tmp_path):
    path = tmp_path / 'classes.npz'
    rows = np.ones((len(names), width))
    write_class_embeddings(path, ClassEmbeddings(names, rows, 'clip'))
    with pytest.raises(UserError, match=word):
        make(head=dict(class_embeddings=str(path))).use_metainfo({})
    path.write_bytes(b'')
    with pytest.raises(StoreError, match='classes.npz'):
        make(head=dict(class_embeddings=str(path))).use_metainfo({})


def test_random_vectors_are_called_that():
    assert make().checkpoint_meta == dict(class_embeddings='random')
    assert make().head.embeddings.equal(make(seed=7).head.embeddings)
