"""ACT: the prompted image transformer, its teacher, and the student."""
import copy

import pytest
import torch
from mmdet3d.registry import MODELS
from torch import nn

import projects.act  # noqa: F401 (registers)
from projects.act import CosineLoss
from sam3d_plugin.engine.hooks.run_summary_hook import describe_pretrainer
from sam3d_plugin.store.checkpoint import CheckpointError
from sam3d_plugin.store.errors import UserError
from tests.models.pretraining_cases import build, losses_of, total
from tests.projects.test_point_bert import (BACKBONE, DVAE, GRAPH, batch, save,
                                            train)

VIT = dict(
    type='PlainVisionTransformer',
    embed_dims=24,
    depth=2,
    num_heads=2,
    patch_size=4,
    image_size=16)
IMAGE = dict(
    type='PromptedTransformer', transformer=VIT, num_prompts=3, embed_dims=32)
DECODER = dict(type='CrossModalDecoder', image=IMAGE, graph=GRAPH)
VAE = dict(DVAE, type='CrossModalVAE', decoder=DECODER)
MODULES = dict(
    encoder=DVAE['backbone']['encoder'],
    codebook=DVAE['codebook'],
    decoder=DECODER)


def act_config(checkpoint, modules=MODULES):
    transformer = dict(BACKBONE['encoder'], depth=1)
    return dict(
        type='ACT',
        backbone=BACKBONE,
        decoder=dict(type='MaskedTokenDecoder', transformer=transformer),
        head=dict(
            type='MaskedTokenHead',
            loss=dict(type='CosineLoss'),
            proj_channels=32),
        target_generator=dict(
            type='CrossModalTargets',
            checkpoint=checkpoint and str(checkpoint),
            modules=modules),
        mask_ratio=.8)


@pytest.fixture
def vae():
    model = build(VAE)
    model.init_weights()
    return model


@pytest.fixture
def act(vae, tmp_path):
    losses_of(vae.train(), batch())  # so that norms have statistics
    model = build(act_config(save(vae, tmp_path / 'vae.pth')))
    model.init_weights()
    return model


def test_closed_forms_of_the_loss():
    features = torch.randn(4, 8)
    loss = CosineLoss()
    torch.testing.assert_close(
        loss(features, 3 * features), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        loss(features, -features), torch.full((4, ), 2.))
    axes = torch.eye(4)
    torch.testing.assert_close(loss(axes, axes.roll(1, 0)), torch.ones(4))


def test_without_prompts_it_is_the_image_transformer():
    image = MODELS.build(dict(copy.deepcopy(IMAGE), num_prompts=0)).eval()
    x, centers = torch.randn(2, 5, 32), torch.rand(2, 5, 3)
    position = image.position_embedding(centers)
    expected = image.enter(x)
    for block in image.frozen['blocks']:
        expected = block(expected + position)
    expected = image.leave(image.frozen['norm'](expected))
    torch.testing.assert_close(image(x, centers), expected)


def test_prompts_are_seen_and_thrown_away(vae):
    image = vae.eval().decoder.image
    x, centers = torch.randn(2, 5, 32), torch.rand(2, 5, 3)
    before = image(x, centers)
    assert before.shape == x.shape
    with torch.no_grad():
        image.prompts[-1].normal_()
    assert not torch.allclose(image(x, centers), before)


def test_the_image_transformer_is_frozen(vae):
    frozen = vae.decoder.image.frozen
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    vae.total_frames = 4
    vae.frames_seen.fill_(3)  # with all losses
    total(losses_of(vae.train(), batch())).backward()
    for name, parameter in vae.named_parameters():
        if 'frozen' in name:
            assert parameter.grad is None, name
        else:
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name
    train(vae, 2, batch())
    assert all(
        torch.equal(frozen.state_dict()[k], v) for k, v in before.items())


def test_the_teacher_predicts_with_image_blocks(vae):
    """The autoencoder learns through them."""
    vae.total_frames = 100
    history = train(vae, 50, batch(), rate=3e-3)
    assert history[-1]['loss_fine'] < .2 * history[0]['loss_fine']


def test_targets_are_the_decoded_best_codes(vae, act):
    points, tokens = act.tokenize(**act.data_preprocessor(batch())['inputs'])
    targets = act.train().target_generator(points, tokens, None)
    expected = vae.eval().predict(points, tokens).decoded
    torch.testing.assert_close(targets, expected)
    assert not targets.requires_grad
    assert torch.equal(act.target_generator(points, tokens, None), targets)


def test_losses_at_the_start(act):
    """Directions are unrelated: 1 in the mean over random heads."""
    points, tokens = act.tokenize(**act.data_preprocessor(batch())['inputs'])
    targets = act.target_generator(points, tokens, None)
    outputs, losses = act.predict(points, tokens), []
    for _ in range(50):
        nn.init.normal_(act.head.proj.weight)
        loss = act.compute_losses(outputs, tokens, targets)['loss_token']
        losses.append(loss.item())
    assert sum(losses) / len(losses) == pytest.approx(1, abs=.1)


def test_the_student_overfits(act):
    """Every parameter learns."""
    losses = losses_of(act.train(), batch())
    assert set(losses) == {'loss_token'}
    total(losses).backward()
    for name, parameter in act.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name
    act.zero_grad()
    history = train(act, 90, batch(), rate=3e-3)
    last = sum(step['loss_token'] for step in history[-10:]) / 10
    assert last < .2 * history[0]['loss_token']


def write_vit(path, meta=None, **changes):
    vit = MODELS.build(dict(VIT, **changes))
    meta = vit.sizes if meta is None else meta
    torch.save(dict(state_dict=vit.state_dict(), meta=meta), path)
    return vit, str(path)


def test_random_blocks_start_as_those_of_images(vae):
    layer = vae.decoder.image.frozen['blocks'][0].mlp.fc1
    assert layer.weight.std().item() == pytest.approx(.02, rel=.1)
    assert not layer.bias.any()


def test_weights_of_a_file(tmp_path):
    vit, path = write_vit(tmp_path / 'vit.pth')
    config = copy.deepcopy(VAE)
    config['decoder']['image']['checkpoint'] = path
    model = build(config)
    model.init_weights()
    expected = vit.blocks.state_dict()
    for name, value in model.decoder.image.frozen['blocks'].state_dict().items(
    ):
        assert torch.equal(value, expected[name])
    assert model.checkpoint_meta == dict(image_weights='pretrained')
    student = build(act_config(save(model, tmp_path / 'vae.pth')))
    assert student.checkpoint_meta == dict(image_weights='pretrained')


def test_log_and_checkpoint_name_random_weights(vae, act):
    for model in (vae, act):
        assert model.checkpoint_meta == dict(image_weights='random')
        assert 'image weights: random' in describe_pretrainer(model)


SIZES = MODELS.build(VIT).sizes


@pytest.mark.parametrize('changes, word', [
    (dict(embed_dims=32), 'embed_dims'),
    (dict(depth=1), 'depth'),
    (dict(depth=3), 'depth'),
    (dict(num_heads=4), 'num_heads'),
    (dict(mlp_ratio=2.), 'mlp_ratio'),
    (dict(layer_scale=True), 'layer_scale'),
    (dict(meta={}), 'export_vit'),
    (dict(meta=SIZES, depth=1), 'lacks'),
    (dict(meta=SIZES, depth=3), 'blocks.2'),
    (dict(meta=SIZES, layer_scale=True), 'ls1'),
])
def test_weights_of_another_transformer(changes, word, tmp_path):
    _, path = write_vit(tmp_path / 'vit.pth', **changes)
    config = copy.deepcopy(VAE)
    config['decoder']['image']['checkpoint'] = path
    with pytest.raises(CheckpointError, match=word) as error:
        build(config).init_weights()
    assert path in str(error.value) and '\n' not in str(error.value)


def test_a_missing_or_different_teacher(vae, tmp_path):
    with pytest.raises(UserError, match='has no checkpoint'):
        build(act_config(None))
    path = save(build(DVAE), tmp_path / 'dvae.pth')
    with pytest.raises(CheckpointError, match='decoder'):
        build(act_config(path)).init_weights()
