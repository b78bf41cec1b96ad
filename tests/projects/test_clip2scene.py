"""CLIP2Scene against closed forms, with an oracle in place of CLIP.

The oracle's image features are those of the true classes, and noise; its name
stands in the files where that of a model of images and text would.
"""
import copy
import math

import numpy as np
import pytest
import torch
from mmengine import fileio

from projects.clip2scene.point_targets import PointClassTargets, PointTargets
from sam3d_plugin.store.class_embeddings import (ClassEmbeddings,
                                                 read_class_embeddings,
                                                 write_class_embeddings)
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.store.region_features import model_of
from sam3d_plugin.store.region_groups import GROUPS_FILE, RegionGroups
from tests.datasets.frame_store import write_data_set
from tests.models.pretraining_cases import (BACKBONE, KNN, build, losses_of,
                                            make_batch)
from tests.projects.short_training import read_small, train
from tests.store.test_files import Bucket

ORACLE, CLASSES, CHANNELS = 'oracle', 5, 16


def orthonormal(count, channels):
    rng = np.random.default_rng(0)
    return np.linalg.qr(rng.normal(size=(channels, count)))[0].T


def write_oracle(path, count=CLASSES, channels=CHANNELS, model=ORACLE):
    """Orthonormal text features."""
    rows = orthonormal(count, channels).astype(np.float32)
    write_class_embeddings(
        path, ClassEmbeddings([f'class{i}' for i in range(count)], rows,
                              model))
    return str(path)


@pytest.fixture
def oracle(tmp_path):
    return write_oracle(tmp_path / 'class_embeddings.npz')


def make(path, **changes):
    config = dict(
        type='CLIP2Scene',
        backbone=dict(BACKBONE, tokenizer=KNN),
        head=dict(
            type='ClassAgreementHead',
            in_channels=32,
            out_channels=changes.pop('channels', CHANNELS)),
        target_generator=dict(type='PointClassTargets', class_embeddings=path))
    config['backbone'] = copy.deepcopy(config['backbone'])
    config['backbone']['encoder'] = dict(
        config['backbone']['encoder'], drop_path=0.)
    model = build(config, **changes)
    model.init_weights()
    model.target_generator.read()
    return model.train()


def oracle_batch(model, noise=.02):
    """Frames whose regions have the features of some class, and noise."""
    embeddings = model.target_generator.embeddings
    batch = make_batch((6, 11))
    for sample in batch['data_samples']:
        regions = sample.regions
        regions.features = embeddings[regions.ids % len(embeddings)]
        regions.features = regions.features + noise * torch.randn(
            regions.features.shape, generator=torch.Generator().manual_seed(0))
    return batch


def random_targets(model, num_frames=4, num_points=30):
    generator = torch.Generator().manual_seed(1)
    embeddings = model.target_generator.embeddings
    classes = torch.randint(
        len(embeddings), (num_frames, num_points), generator=generator)
    is_target = torch.rand(num_frames, num_points, generator=generator) < .8
    return PointTargets(embeddings[classes], classes, is_target)


def test_the_features_of_the_classes_agree(oracle):
    model = make(oracle)
    targets = random_targets(model)
    losses = model.compare(10 * targets.features, targets.features, targets)
    assert losses['agreement'] == 1
    assert losses['loss_feature'].item() == pytest.approx(0, abs=1e-6)
    assert losses['loss_class'].item() == pytest.approx(
        math.log1p((CLASSES - 1) * math.exp(-10)), rel=1e-2)


def test_points_in_no_region_count_nothing(oracle):
    model = make(oracle)
    targets = random_targets(model)
    predicted = torch.randn(2, *targets.features.shape)
    losses = model.compare(*predicted, targets)
    predicted[:, ~targets.is_target] = 7.
    targets.classes[~targets.is_target] = 0
    for name, value in model.compare(*predicted, targets).items():
        torch.testing.assert_close(value, losses[name])


def test_other_points_than_those_that_predict_have_no_class(oracle):
    """But they are in the tokens."""
    model = make(oracle, num_points=50)
    batch = oracle_batch(model)
    losses = losses_of(model, batch)
    for points in batch['inputs']['points']:
        points[50:, 3] = 0
    for name, value in losses_of(model, batch).items():
        torch.testing.assert_close(value, losses[name])
    for points in batch['inputs']['points']:
        points[50:, :3] *= 2
    assert not losses_of(model, batch)['loss_class'].equal(
        losses['loss_class'])
    everything = make(oracle)
    assert not losses_of(everything, oracle_batch(model))['loss_class'].equal(
        losses['loss_class'])


def test_an_untrained_model_knows_nothing(tmp_path):
    model = make(write_oracle(tmp_path / 'many.npz', 20, 512), channels=512)
    losses = losses_of(model, oracle_batch(model))
    assert losses['loss_class'].item() == pytest.approx(math.log(20), rel=.05)
    assert losses['loss_feature'].item() == pytest.approx(1, rel=.05)


def test_losses_are_of_full_precision(oracle):
    model = make(oracle)
    targets = random_targets(model)
    predicted = torch.randn(targets.features.shape)
    losses = model.compare(predicted, predicted, targets)
    ids = torch.randint(0, 6, (2, 40))
    samples = oracle_batch(model, noise=1.)['data_samples']
    classes = model.target_generator(ids, samples).classes
    with torch.autocast('cpu', torch.bfloat16):
        for name, value in model.compare(predicted, predicted,
                                         targets).items():
            assert value.equal(losses[name]), name
        assert model.target_generator(ids, samples).classes.equal(classes)


def choices(model, number, num_frames):
    """Which of some frames learn from their own labels."""
    model.total_frames = 3000
    model.frames_seen.fill_(number)
    own = torch.ones(num_frames, 7, dtype=torch.int64)
    labels = model.choose_labels(own, torch.zeros_like(own))
    assert (labels == labels[:, :1]).all()
    return labels[:, 0].bool()


def test_own_labels_depend_on_the_frames_seen_alone(oracle):
    model = make(oracle)
    assert not choices(model, 999, 400).any()
    chosen = choices(model, 1000, 400)
    assert .4 < chosen.float().mean() < .6
    resumed = make(oracle)
    alone = [choices(resumed, 1000 + i, 1) for i in range(20)]
    assert torch.cat(alone).equal(chosen[:20])


def test_own_labels_are_the_likeliest_classes(oracle):
    """Which cost their own entropy, and have no gradient."""
    model = make(oracle, own_labels_from=0., own_label_ratio=1.)
    targets = random_targets(model)
    predicted = torch.randn(targets.features.shape, requires_grad=True)
    loss = model.compare(predicted, predicted, targets)['loss_class']
    logits = predicted @ model.target_generator.embeddings.T
    lowest = -logits.log_softmax(-1).amax(-1)
    expected = [
        row[is_in].mean() for row, is_in in zip(lowest, targets.is_target)
    ]
    torch.testing.assert_close(loss, sum(expected) / len(expected))
    gradient, = torch.autograd.grad(loss, predicted, retain_graph=True)
    slow, = torch.autograd.grad(sum(expected) / len(expected), predicted)
    torch.testing.assert_close(gradient, slow)


def test_an_oracle_is_learned_to_its_ceiling(oracle):
    """Two frames, 300 steps: as good as the oracle's own labels."""
    model = make(oracle)
    batch = oracle_batch(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    totals = []
    for _ in range(300):
        losses = losses_of(model, batch)
        total = losses['loss_class'] + losses['loss_feature']
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
        if losses['agreement'] == 1 and total < .2 * totals[0]:
            break
    assert totals[-1] < .2 * totals[0] and losses['agreement'] == 1
    inputs = model.data_preprocessor(batch)['inputs']
    targets = model.target_generator(inputs['points'][..., 3].long(),
                                     batch['data_samples'])
    classes = inputs['points'][..., 3].long() % CLASSES
    is_right = (targets.classes == classes) | ~targets.is_target
    assert is_right.all()  # so the ceiling is 1


def test_groups_stand_for_classes(tmp_path):
    write_data_set(tmp_path)
    folder = tmp_path / 'region_groups/train'
    targets = PointClassTargets(groups=str(folder))
    targets.use_metainfo(dict(feature_model='any'))
    centroids = torch.from_numpy(RegionGroups(folder).groups().centroids)
    torch.testing.assert_close(targets.embeddings,
                               centroids / centroids.norm(dim=1, keepdim=True))
    samples = make_batch()['data_samples']
    for sample in samples:
        sample.regions.features = sample.regions.features[:, :3]
    ids = torch.tensor([[1, 0, 5], [7, 7, 2]])
    found = targets(ids, samples)
    assert found.is_target.equal(ids > 0)
    assert found.classes[ids > 0].equal(ids[ids > 0] % 3)
    samples[0].regions.group_ids[:] = 4
    with pytest.raises(UserError, match='beyond the 4'):
        targets(ids, samples)
    del samples[0].regions.group_ids
    with pytest.raises(UserError, match='group_ids'):
        targets(ids, samples)


def test_groups_come_from_an_object_store(tmp_path, monkeypatch):
    fileio.register_backend('bucket', Bucket, force=True)
    write_data_set(tmp_path)
    folder = tmp_path / 'region_groups/train'
    content = (folder / GROUPS_FILE).read_bytes()
    monkeypatch.setattr(Bucket, 'objects', {f'far/{GROUPS_FILE}': content})
    far = PointClassTargets(groups='far', backend_args=dict(backend='bucket'))
    near = PointClassTargets(groups=str(folder))
    for targets in (far, near):
        targets.read()
    assert far.embeddings.equal(near.embeddings)


@pytest.mark.parametrize('settings',
                         [{}, dict(class_embeddings='a', groups='b')])
def test_classes_have_one_source(settings):
    with pytest.raises(UserError, match='class_embeddings'):
        PointClassTargets(**settings)


@pytest.mark.parametrize('name', ['own_labels_from', 'own_label_ratio'])
def test_epochs_are_no_shares(name, oracle):
    with pytest.raises(UserError, match=f'{name}.*10.*share'):
        make(oracle, **{name: 10})


def test_features_of_other_widths_are_refused(oracle, tmp_path):
    model = make(oracle)
    with pytest.raises(UserError, match='12 channels'):
        losses_of(model, make_batch())
    model = make(oracle, channels=8)
    with pytest.raises(UserError, match='out_channels=16'):
        losses_of(model, oracle_batch(model))


def test_prompts_are_in_the_file(tmp_path):
    path = tmp_path / 'classes.npz'
    classes = ClassEmbeddings(['a'], np.ones((1, 2)), 'clip', ['a photo: {}'])
    write_class_embeddings(path, classes)
    assert read_class_embeddings(path).prompts == classes.prompts
    np.savez(path, names=['a'], embeddings=np.ones((1, 2)), model='clip')
    assert read_class_embeddings(path).prompts == []


def text_run(root, work_dir):
    """The config with text on a small data set."""
    cfg = read_small('projects/clip2scene/configs/clip2scene_text.py', root,
                     work_dir)
    return train(cfg, 3)


def test_text_of_the_model_that_made_the_images(tmp_path):
    """Trains; of another model it is refused."""
    root = write_data_set(tmp_path / 'data')
    path = root / 'class_embeddings.npz'
    write_oracle(path, 3, 3, model='planted')
    runner = text_run(root, tmp_path / 'work')
    targets = runner.model.target_generator
    assert targets.text_model == 'planted' and len(targets.embeddings) == 3
    scalars = runner.message_hub.log_scalars
    for name in ('loss_class', 'loss_feature'):
        losses = scalars[f'train/{name}'].data[0]
        assert len(losses) == 3 and (losses > 0).all(), name
    write_oracle(path, 3, 3, model='clip')
    with pytest.raises(UserError, match='clip.*planted'):
        text_run(root, tmp_path / 'other')


@pytest.mark.parametrize('settings, name', [
    (dict(encoder='standin',
          options=dict(model='resnet18')), 'standin without text_space'),
    (dict(encoder='handcrafted',
          options=dict(definition=1)), 'handcrafted without text_space'),
    (dict(encoder='transformers',
          options=dict(model='dinov3_vit')), 'dinov3_vit without text_space'),
    (dict(encoder='transformers',
          options=dict(model='siglip2')), 'siglip2 without text_space'),
    (dict(encoder='planted'), 'planted'),
    (dict(encoder='timm', options=dict(model='clip',
                                       text_space=True)), 'clip'),
    (dict(encoder='timm',
          options=dict(model='clip')), 'clip without text_space'),
    (dict(
        encoder='timm',
        options=dict(model='clip', text_space=True,
                     random_weights_seed=0)), 'clip with random weights'),
])
def test_stores_name_the_model_of_their_images(settings, name):
    assert model_of(settings) == name


@pytest.mark.parametrize('text_model', ['clip', 'siglip without text_space'])
def test_images_outside_the_text_space_are_refused(text_model, tmp_path):
    path = write_oracle(tmp_path / 'classes.npz', model=text_model)
    image_model = model_of(
        dict(encoder='transformers', options=dict(model='siglip')))
    with pytest.raises(UserError, match='siglip .*text_space=true'):
        PointClassTargets(path).use_metainfo(dict(feature_model=image_model))


def test_checkpoints_need_no_embeddings(oracle):
    """Whoever has the weights alone can build the model and load them."""
    weights = make(oracle).state_dict()
    PointClassTargets('missing.npz').load_state_dict({})
    assert not any('embeddings' in name for name in weights)
    with pytest.raises(FileNotFoundError, match='missing.npz'):
        PointClassTargets('missing.npz').use_metainfo({})
