"""Point-BERT: the autoencoder, its codes, and their prediction."""
import math

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS
from torch import nn

import projects.point_bert  # noqa: F401 (registers)
from projects.point_bert.dvae import gumbel_noise, uniform_divergence
from projects.point_bert.mixture import Mixture, draw_mixture
from projects.point_bert.point_bert import BERTOutputs, EncodedScenes
from sam3d_plugin.engine.hooks.feature_view import view_features
from sam3d_plugin.models.pretrainers.masking import frame_generators
from sam3d_plugin.store.checkpoint import CheckpointError
from sam3d_plugin.store.errors import UserError
from tests.models.pretraining_cases import (EMBEDDING, ENCODER, build,
                                            losses_of, make_batch, total)

V, G, K = 64, 16, 8  # codes, tokens, points of a token
GRAPH = dict(
    type='GraphConvStack',
    embed_dims=32,
    out_channels=32,
    hidden_dims=(16, 16, 32, 32))
CODES = dict(GRAPH, out_channels=V)
TOKENIZER = dict(type='KNNTokenizer', num_tokens=G, num_neighbors=K)
BACKBONE = dict(
    type='TokenEncoder',
    tokenizer=TOKENIZER,
    embedding=EMBEDDING,
    encoder=dict(ENCODER, drop_path=0.))
DVAE = dict(
    type='DiscreteVAE',
    backbone=dict(BACKBONE, encoder=CODES),
    codebook=dict(type='Codebook', num_codes=V, embed_dims=32),
    decoder=GRAPH,
    head=dict(
        type='FoldingHead',
        num_neighbors=K,
        in_channels=32,
        hidden_dims=(64, 32)),
    target_generator=dict(type='NeighborhoodTargets'))


def bert_config(checkpoint, **options):
    return dict(
        dict(
            type='PointBERT',
            backbone=BACKBONE,
            queue_size=8,
            target_generator=dict(
                type='CodeTargets',
                checkpoint=str(checkpoint),
                modules=dict(encoder=CODES))), **options)


def save(model, path):
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


@pytest.fixture
def dvae():
    return build(DVAE)


@pytest.fixture
def bert(dvae, tmp_path):
    model = build(bert_config(save(dvae, tmp_path / 'dvae.pth')))
    model.init_weights()
    return model


def batch(seed=0):
    return make_batch((5, 6), num_points=100, seed=seed)


def train(model, steps, data, rate=1e-3):
    """Losses of a training on one batch."""
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    history = []
    for _ in range(steps):
        losses = losses_of(model.train(), data)
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    return history


def test_divergence_from_the_uniform_distribution():
    assert uniform_divergence(torch.randn(2, 5, 1).expand(-1, -1, V)) == (
        pytest.approx(0, abs=1e-6))
    epsilon = 1e-3
    collapsed = torch.full((2, 5, V), epsilon / (V - 1))
    collapsed[..., 3] = 1 - epsilon
    expected = -math.log(V) - (math.log(1 - epsilon) +
                               (V - 1) * math.log(epsilon / (V - 1))) / V
    torch.testing.assert_close(
        uniform_divergence(collapsed.log()), torch.tensor(expected))
    # Each token its own code: all are used alike.
    own = 50 * torch.eye(V)[None]
    assert uniform_divergence(own) == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(uniform_divergence(1e4 * collapsed))


def test_noise_is_gumbel_and_that_of_the_frame():
    logits = torch.zeros(3, 100, V)
    noise = gumbel_noise(logits, frame_generators(0, range(3)))
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=.03)
    assert noise.var() == pytest.approx(math.pi**2 / 6, rel=.05)
    alone = gumbel_noise(logits[:1], frame_generators(0, [2]))
    assert torch.equal(alone[0], noise[2])


def test_temperature_and_weight_follow_the_training(dvae):
    dvae.total_frames = 100
    logits = torch.randn(2, 5, V)
    seen = []
    for frames in (0, 50, 100, 120):
        dvae.frames_seen.fill_(frames)
        seen.append(dvae.temperature)
        shares = dvae.train().code_shares(logits)
        torch.testing.assert_close(shares.sum(-1), torch.ones(2, 5))
    np.testing.assert_allclose(seen, [1, (1 + .0625) / 2, .0625, .0625])
    dvae.temperatures = (1e-4, 1e-4)
    noise = gumbel_noise(logits,
                         frame_generators(dvae.seed, dvae.frame_numbers(2)))
    assert torch.equal(
        dvae.code_shares(logits).argmax(-1), (logits + noise).argmax(-1))
    assert dvae.code_shares(logits).amax(-1).min() > .99
    assert torch.equal(dvae.eval().code_shares(logits), logits.argmax(-1))
    weights = []
    for frames in (0, 10, 55, 100):
        dvae.frames_seen.fill_(frames)
        losses = losses_of(dvae.eval(), batch())
        weights.append(losses['loss_uniform'].item())
    assert weights[:2] == [0, 0] and 0 < weights[2] < weights[3]


def test_the_graph_does_not_know_the_order_of_tokens():
    stack = build(GRAPH).eval()
    x, centers = torch.randn(2, G, 32), torch.rand(2, G, 3)
    order = torch.randperm(G)
    torch.testing.assert_close(
        stack(x, centers)[:, order], stack(x[:, order], centers[:, order]))
    is_padding = torch.zeros(2, G, dtype=torch.bool)
    assert stack(x, centers, is_padding).shape == (2, G, 32)
    is_padding[0, -1] = True
    with pytest.raises(UserError, match='KNNTokenizer'):
        stack(x, centers, is_padding)


def test_loss_of_points_at_the_center(dvae):
    """Closed form of a head that predicts every point at the center."""
    for layers in (dvae.head.coarse_layers, dvae.head.fine_layers):
        nn.init.zeros_(layers[-1].weight)
        nn.init.zeros_(layers[-1].bias)
    inputs = dvae.data_preprocessor(batch())['inputs']
    targets = dvae.target_generator(*dvae.tokenize(**inputs), None)
    lengths = targets.norm(dim=-1)
    expected = (lengths.mean() + lengths.amin(-1).mean()) / 2
    losses = losses_of(dvae, batch())
    for name in ('loss_coarse', 'loss_fine'):
        torch.testing.assert_close(losses[name], expected)


def test_the_autoencoder_overfits(dvae):
    """To a fiftieth of the radius or so; 300 steps bring no more."""
    data = make_batch((5, ), num_points=100)
    dvae.total_frames = 120
    history = train(dvae, 120, data, rate=3e-3)
    points = data['inputs']['points'][0][:, :3]
    radius = (points - points.mean(0)).norm(dim=1).max()
    assert history[-1]['loss_fine'] < .03 * radius
    assert history[-1]['loss_fine'] < .2 * history[0]['loss_fine']


def test_head_takes_multiples_of_four():
    with pytest.raises(UserError, match='multiple of 4'):
        MODELS.build(dict(type='FoldingHead', num_neighbors=9))


def test_codes_are_those_of_the_autoencoder(dvae, bert):
    inputs = bert.data_preprocessor(batch())['inputs']
    points, tokens = bert.tokenize(**inputs)
    codes = bert.train().target_generator(points, tokens, None)
    expected = dvae.eval().predict(points, tokens).logits.argmax(-1)
    assert torch.equal(codes, expected)
    before = {
        k: v.clone()
        for k, v in bert.target_generator.teacher.state_dict().items()
    }
    train(bert, 2, batch())
    after = bert.target_generator.teacher.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert torch.equal(bert.target_generator(points, tokens, None), codes)


def test_the_student_starts_with_the_embedding_of_the_teacher(dvae, bert):
    embedding = dvae.backbone.embedding.state_dict()
    for module in (bert.backbone.embedding,
                   bert.key_encoder.module['embedding']):
        for name, value in module.state_dict().items():
            assert torch.equal(value, embedding[name])


def test_losses_at_the_start(bert):
    losses = losses_of(bert, batch())
    for name in ('loss_code', 'loss_code_mixed'):
        assert losses[name].item() == pytest.approx(math.log(V), rel=.05)


def test_the_contrast_of_mixed_scenes(bert):
    """Closed form of scenes that are like their key alone."""
    axes, share, scale = torch.eye(512), .7, 1 / .07
    is_masked = torch.ones(2, G, dtype=torch.bool)
    scenes = EncodedScenes(torch.zeros(2, G, 32), axes[:2], is_masked)
    outputs = BERTOutputs(scenes, scenes,
                          Mixture(torch.full((2, ), share), is_masked),
                          axes[:2])
    codes = torch.zeros(2, G, dtype=torch.long)
    bert.train()
    for num_others in (1, 3):  # the second time with two in the queue
        outputs = outputs._replace(keys=axes[num_others:num_others + 2])
        outputs = outputs._replace(mixed=scenes._replace(scene=outputs.keys))
        loss = bert.compute_losses(outputs, None, codes)['loss_scene']
        expected = math.log(math.exp(scale) + num_others) - share * scale
        assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('num_scenes', [1, 2, 3])
def test_mixtures(num_scenes):
    values = torch.randn(num_scenes, G, 3)
    ones = torch.ones(num_scenes, G, dtype=torch.bool)
    whole = Mixture(torch.ones(num_scenes), ones)
    assert torch.equal(whole.mix(values), values)
    assert torch.equal(whole.labels(), torch.eye(num_scenes))
    other = Mixture(torch.zeros(num_scenes), ~ones)
    assert torch.equal(other.mix(values), values.flip(0))
    assert torch.equal(other.labels(), torch.eye(num_scenes).flip(0))
    drawn = draw_mixture(1000, frame_generators(0, range(num_scenes)))
    torch.testing.assert_close(
        drawn.is_own.float().mean(1), drawn.share, atol=.05, rtol=0)
    torch.testing.assert_close(drawn.labels().sum(1), torch.ones(num_scenes))


def test_a_mixture_of_a_scene_with_itself_is_the_scene(bert):
    """Both passes then differ by their masks alone."""
    bert.eval().mask_ratios = (.01, .01)  # nothing
    first = batch()['inputs']['points'][0]
    outputs = bert.predict(*bert.tokenize(torch.stack((first, first))))
    torch.testing.assert_close(outputs.mixed.tokens, outputs.plain.tokens)
    torch.testing.assert_close(outputs.mixed.scene, outputs.plain.scene)


def test_the_masked_are_a_block(bert):
    points, tokens = bert.tokenize(**bert.data_preprocessor(batch())['inputs'])
    outputs = bert.eval().predict(points, tokens)
    for hidden, centers in zip(outputs.plain.is_masked, tokens.centers):
        assert int(.25 * G) <= hidden.sum() <= int(.45 * G)
        distances = torch.cdist(centers, centers)
        nearest = distances.argsort(1)[:, :hidden.sum()]
        assert any(
            set(row) == set(hidden.nonzero()[:, 0].tolist())
            for row in nearest.tolist())


def test_keys_and_queue(bert):
    """Only training moves them; keys have no gradient."""
    before = bert.key_encoder.module['scene'].token.clone()
    losses_of(bert.eval(), batch())
    view_features(bert, batch())
    assert bert.queue.num_pushed == 0
    train(bert, 2, batch())
    assert bert.queue.num_pushed == 4
    held = bert.queue()
    torch.testing.assert_close(held.features[held.is_filled].norm(dim=1),
                               torch.ones(4))
    assert all(p.grad is None for p in bert.key_encoder.parameters())
    assert not torch.equal(bert.key_encoder.module['scene'].token, before)


@pytest.mark.parametrize('stage', ['dvae', 'bert'])
def test_every_parameter_learns(stage, request):
    model = request.getfixturevalue(stage).train()
    model.total_frames = 4
    model.frames_seen.fill_(3)  # with all losses
    total(losses_of(model, batch())).backward()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, name
        else:
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name


class Octants(nn.Module):
    """Stands in for a teacher: the octant of the center is the code."""

    def forward(self, points, tokens, data_samples):
        is_above = tokens.centers > tokens.centers.mean((0, 1))
        return (is_above * torch.tensor([1, 2, 4])).sum(-1)


def test_planted_codes_are_learned(bert):
    bert.target_generator = Octants()
    history = train(bert, 70, batch(), rate=3e-3)
    last = np.mean([step['loss_code'] for step in history[-10:]])
    assert last < .2 * history[0]['loss_code']


def test_a_queue_smaller_than_the_batch(dvae, tmp_path):
    path = save(dvae, tmp_path / 'dvae.pth')
    model = build(bert_config(path, queue_size=1)).train()
    with pytest.raises(UserError, match='queue'):
        losses_of(model, batch())


@pytest.mark.parametrize('name', ['decoder', 'head'])
def test_parts_that_are_never_used(name, dvae, tmp_path):
    path = save(dvae, tmp_path / 'dvae.pth')
    with pytest.raises(TypeError, match=name):
        build(bert_config(path, **{name: GRAPH}))


def test_a_missing_or_different_autoencoder(dvae, tmp_path):
    targets = bert_config('')['target_generator']
    with pytest.raises(UserError, match='has no checkpoint'):
        MODELS.build(dict(targets, checkpoint=None, modules={}))
    path = save(dvae, tmp_path / 'dvae.pth')
    larger = dict(CODES, out_channels=2 * V)
    config = bert_config(path)
    config['target_generator']['modules'] = dict(encoder=larger)
    with pytest.raises(CheckpointError, match='differ in size') as error:
        build(config).init_weights()
    assert str(path) in str(error.value)
