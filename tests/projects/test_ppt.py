"""PPT against batch norms, closed forms and data sets with planted classes."""
import argparse
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet3d.registry import DATA_SAMPLERS, DATASETS, MODELS
from mmdet3d.structures import Det3DDataSample, PointData
from mmengine.registry import init_default_scope
from torch import nn

import projects.ppt  # noqa: F401 (registers)
from projects.ppt.domain_norm import DomainNorm
from projects.ppt.domains import DomainSampler
from projects.ppt.text_head import compare
from sam3d_plugin.datasets.seeding import SampleKey
from sam3d_plugin.engine.export import read_encoder
from sam3d_plugin.engine.options import load_config, read_config
from sam3d_plugin.experiments import arms, ladder
from sam3d_plugin.experiments.methods import read_methods, short_table
from sam3d_plugin.ops.propagation import interpolate_tokens
from sam3d_plugin.store.class_embeddings import (ClassEmbeddings,
                                                 write_class_embeddings)
from sam3d_plugin.store.errors import StoreError, UserError
from tests.datasets.frame_store import write_data_set
from tests.evaluation.labelled_store import LABELS, write_labels
from tests.models.pretraining_cases import BACKBONE, KNN, build, losses_of
from tests.segmentation_stores import write_scannet_seg
from tests.test_golden import shrink_data

DOMAINS = dict(a=['wall', 'floor', 'chair'], b=['chair', 'ceiling'])
MINI = 'projects/ppt/configs/ppt_mini.py'


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


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    init_default_scope('mmdet3d')
    folder = tmp_path_factory.mktemp('labeled')
    write_data_set(folder)
    write_labels(folder)
    write_scannet_seg(folder)
    return folder


def mini_data(root, **changes):
    dataset = read_config(MINI,
                          dict(data_root=f'{root}/')).train_dataloader.dataset
    shrink_data(dataset)
    dataset.update(changes)
    return dataset


def test_samples_say_which_data_set_they_are_of(root):
    """Frames with the classes of their rows, then scans."""
    dataset = DATASETS.build(mini_data(root))
    assert dataset.sizes == [6, 2] and len(dataset) == 8
    domains = [dataset[i]['data_samples'].metainfo['domain'] for i in range(8)]
    assert domains == ['frames'] * 6 + ['scans'] * 2
    counts = [len(found) for found in dataset.metainfo['domains'].values()]
    assert counts == [20, 20]
    masks = [
        dataset[i]['data_samples'].gt_pts_seg.pts_semantic_mask for i in (0, 7)
    ]
    assert set(masks[0].tolist()) == set(LABELS)
    assert set(masks[1].tolist()) <= {0, 1, 4, 6, 20}
    assert dataset.num_replaced == 0
    model_domains = read_config(MINI, {}).model.domains
    assert dataset.metainfo['domains'] == {
        name: tuple(classes)
        for name, classes in model_domains.items()
    }


@pytest.mark.parametrize('index', [1, 7])
def test_a_sample_depends_on_its_key_alone(index, root):
    """And another visit of it is another sample."""
    dataset = DATASETS.build(mini_data(root))

    def points(*key):
        return dataset[SampleKey(*key)]['inputs']['points']

    first = points(index, 2, 3)
    torch.rand(5), np.random.rand(5)
    assert points(index, 2, 3).equal(first)
    for other in ((index, 1, 3), (index, 2, 4), (index + 8, 2, 3)):
        assert not points(*other).equal(first)
    key = SampleKey(index + 8, 2, 3)
    names = [
        dataset[k]['data_samples'].metainfo.get('sample_idx')
        for k in (key, SampleKey(index, 2, 3))
    ]
    assert names[0] == names[1]


def test_scans_of_a_list_alone(root, tmp_path):
    """As zoo.py --rates holds scenes out."""
    path = tmp_path / 'list.txt'
    path.write_text('alpha\nb\n')
    dataset = DATASETS.build(mini_data(root, ann_file=str(path)))
    assert dataset.sizes == [3, 1]
    scans = {dataset[i]['data_samples'].metainfo['scan'] for i in range(3)}
    assert scans == {'alpha'}
    path.write_text('alpha\n')
    with pytest.raises(UserError, match='scans has none'):
        DATASETS.build(mini_data(root, ann_file=str(path)))


def test_data_sets_without_names_or_classes_are_refused(root):
    with pytest.raises(UserError, match='2 datasets'):
        DATASETS.build(mini_data(root, domains=['frames']))
    config = mini_data(root)
    del config.datasets[0].pipeline[1]
    with pytest.raises(UserError, match='frames has no classes'):
        DATASETS.build(config)


class Sizes:
    """What a sampler asks a ``DomainDataset``."""
    domains = ('a', 'b')
    sizes = [7, 3]

    def __len__(self):
        return 10


def places(epoch=0, world_size=1, rank=0, **settings):
    sampler = DATA_SAMPLERS.build(
        dict(
            dict(type='DomainSampler', batch_size=2, shares=(1, 1), seed=3),
            **settings),
        default_args=dict(dataset=Sizes()))
    assert isinstance(sampler, DomainSampler)
    sampler.set_epoch(epoch)
    found = [key.idx for key in sampler]
    assert len(found) == len(sampler)
    return np.array(found).reshape(-1, sampler.batch)


def test_batches_are_of_one_data_set():
    found = places(shares=(2, 1), epoch_length=60)
    domains = found % 10 >= 7
    assert found.shape == (30, 2)
    assert (domains[:, 0] == domains[:, 1]).all()
    assert domains[:, 0].sum() == 10
    assert np.diff(domains[:, 0].astype(int)).any()
    # 40 of 7 samples, 20 of 3: all before any of them again.
    for domain, size in enumerate(Sizes.sizes):
        mine = found[domains[:, 0] == bool(domain)].reshape(-1)
        assert len(set(mine)) == len(mine)
        for visit in range(len(mine) // size):
            part = mine[visit * size:(visit + 1) * size]
            assert len(set(part % 10)) == size and set(part // 10) == {visit}


def test_an_epoch_is_as_long_as_the_data_and_follows_from_the_seed():
    first = places()
    assert first.shape == (5, 2)
    np.testing.assert_array_equal(places(), first)
    for other in (places(epoch=1), places(seed=4)):
        assert (other != first).any()
    in_order = places(shuffle=False, shares=(3, 2))
    np.testing.assert_array_equal(in_order,
                                  [[0, 1], [2, 3], [4, 5], [7, 8], [9, 17]])


def test_processes_share_the_batches_of_one(monkeypatch):
    expected = places(batch_size=4, epoch_length=40)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info',
            lambda rank=rank: (rank, 2))
        sampler = DATA_SAMPLERS.build(
            dict(
                type='DomainSampler',
                batch_size=2,
                shares=(1, 1),
                epoch_length=40,
                seed=3,
                dataset=Sizes()))
        parts.append(np.array([key.idx for key in sampler]).reshape(-1, 2))
    np.testing.assert_array_equal(np.sort(np.hstack(parts)), np.sort(expected))


@pytest.mark.parametrize('shares', [(1, ), (1, 0), (1, 1, 1)])
def test_every_data_set_has_a_share(shares):
    with pytest.raises(UserError, match='shares'):
        places(shares=shares)


def test_arms_that_hold_scenes_out_hold_them_out_of_both_data_sets():
    args = argparse.Namespace(
        config=MINI,
        cfg_options={ladder.ANN_FILE: 'some.txt'},
        launcher='none',
        work_dir='w',
        local_rank=0)
    assert load_config(args).train_dataloader.dataset.ann_file == 'some.txt'
    assert arms.ARMS['ppt_knn'].steps == ('ppt', )


def test_tables_say_that_it_is_supervised():
    methods = read_methods()
    assert [key for key in methods if methods[key].is_supervised] == ['ppt']
    assert list(methods)[-1] == 'ppt'
    row = short_table().splitlines()[-1]
    assert row.startswith('| [PPT](projects/ppt), supervised, ')


@pytest.mark.parametrize('size', ['mini', 'full'])
def test_exports_name_all_data_sets(size):
    config = read_methods()['ppt'].stages[0].configs[size]
    _, meta = read_encoder(config)
    assert meta['center'] == 'floor' and meta['method'] == 'PPT'
    expected = dict(
        mini='data/synthrooms/ scannet_infos_train.pkl, '
        'data/synthrooms/ scannet_infos_train.pkl',
        full='data/scannet/ scannet_infos_train.pkl, data/s3dis/ ')
    assert meta['data'] == expected[size]
