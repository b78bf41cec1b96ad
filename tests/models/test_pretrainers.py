"""Both stages, the single stage, and what they promise."""
import copy

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from sam3d_plugin.models.pretrainers import TokenPretrainer, base
from .pretraining_cases import (BACKBONE, BALANCED_HEAD, JOINT, KNN, SAM,
                                STAGE1, build, losses_of, make_batch, stage2,
                                total, without_drop_path,
                                without_norm_statistics)


@pytest.fixture(params=['stage1', 'joint', 'stage2'])
def config(request, checkpoint):
    return dict(
        stage1=dict(STAGE1, head=BALANCED_HEAD),
        joint=dict(JOINT, head=BALANCED_HEAD),
        stage2=stage2(checkpoint))[request.param]


@pytest.mark.parametrize('tokenizer', [SAM, KNN])
def test_every_parameter_learns(config, tokenizer):
    model = build(config, tokenizer=tokenizer, mask_ratio=.6) \
        if 'Masked' in config['type'] else build(config, tokenizer=tokenizer)
    losses = losses_of(model)
    assert all(value.isfinite() for value in losses.values())
    total(losses).backward()
    without = [
        name for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum()
    ]
    # a softmax ignores what all keys have in common
    assert all(name.endswith('qkv.bias') for name in without), without


def test_stage_1_without_a_decoder_projects_the_encoder():
    model = build(STAGE1, decoder=None)
    total(losses_of(model)).backward()
    assert model.backbone.encoder.norm.weight.grad.abs().sum() > 0
    points, tokens = model.tokenize(
        torch.stack(make_batch((6, 6))['inputs']['points']))
    model.eval()
    torch.testing.assert_close(
        model.predict(points, tokens),
        model.backbone.encode_tokens(points, tokens))


def test_names_of_losses(checkpoint):
    assert set(losses_of(build(STAGE1))) == {'loss_region', 'region_tokens'}
    assert set(losses_of(
        build(JOINT))) == {'loss_region', 'loss_masked', 'region_tokens'}
    assert set(losses_of(build(
        stage2(checkpoint)))) == {'loss_ins', 'loss_token'}


def test_training_lowers_the_loss(config):
    model = build(config)
    optimizer = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=2e-3))
    logs = [
        model.train_step(make_batch(), optimizer)['loss'].item()
        for _ in range(25)
    ]
    assert sum(logs[-3:]) < .8 * sum(logs[:3])


def one_frame_of(batch, index):
    return dict(
        inputs=dict(points=batch['inputs']['points'][index:index + 1]),
        data_samples=batch['data_samples'][index:index + 1])


def test_padding_and_batching_change_nothing(config):
    """A batch is the mean of its frames, however many tokens each has."""
    model = without_norm_statistics(build(without_drop_path(config)))
    batch = make_batch((4, 25, 11))
    together = losses_of(model, batch)
    model.frames_seen.zero_()
    alone = [losses_of(model, one_frame_of(batch, i)) for i in range(3)]
    assert model.frames_seen == 3
    for name, value in together.items():
        mean = sum(losses[name] for losses in alone) / 3
        torch.testing.assert_close(value, mean, atol=1e-5, rtol=1e-5)


def test_accumulated_steps_are_one_large_step(config):
    model = without_norm_statistics(build(without_drop_path(config)))
    batch = make_batch((4, 25, 11))
    total(losses_of(model, batch)).backward()
    expected = {n: p.grad for n, p in model.named_parameters()}
    model.zero_grad()
    model.frames_seen.zero_()
    for i in range(3):
        (total(losses_of(model, one_frame_of(batch, i))) / 3).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(
            parameter.grad, expected[name], atol=1e-5, rtol=1e-4)


def test_two_processes_are_one_with_twice_the_batch(config, monkeypatch):
    """Their mean is what DistributedDataParallel takes."""
    model = without_norm_statistics(build(without_drop_path(config)))
    model.frames_seen += 8
    batch = make_batch((4, 25))
    expected = losses_of(model, batch)
    monkeypatch.setattr(base, 'get_world_size', lambda: 2)
    halves = []
    for rank in range(2):
        monkeypatch.setattr(base, 'get_rank', lambda: rank)
        model.frames_seen.fill_(8)
        halves.append(losses_of(model, one_frame_of(batch, rank)))
        assert model.frames_seen == 10
    for name, value in expected.items():
        torch.testing.assert_close(
            sum(half[name] for half in halves) / 2,
            value,
            atol=1e-5,
            rtol=1e-5)


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group(
        'gloo',
        rank=0,
        world_size=1,
        init_method=f'file://{tmp_path / "store"}')
    yield
    torch.distributed.destroy_process_group()


def test_distributed_training_finds_no_unused_parameter(config, process_group):
    model = build(config)
    wrapped = MMDistributedDataParallel(model, device_ids=None)
    optimizer = OptimWrapper(torch.optim.AdamW(wrapped.parameters()))
    for _ in range(3):  # the second step would complain about the first
        wrapped.train_step(make_batch(), optimizer)
    names = {name for name, _ in wrapped.named_parameters()}
    assert not any('target' in name or 'teacher' in name for name in names)


def test_order_of_points_changes_nothing(config):
    model = without_norm_statistics(build(without_drop_path(config)))
    batch = make_batch((6, 11))
    for points in batch['inputs']['points']:
        points[:, 3].clamp_(min=1)  # the rest starts at its first point
    before = losses_of(model, batch)
    model.frames_seen.zero_()
    batch['inputs']['points'] = [
        points[torch.randperm(len(points))]
        for points in batch['inputs']['points']
    ]
    after = losses_of(model, batch)
    for name in before:
        torch.testing.assert_close(
            after[name], before[name], atol=1e-5, rtol=1e-5)


def test_steps_repeat_after_a_resume(config):
    """Masks and drop path follow from seed and frame count alone."""
    model = build(config)
    losses_of(model)
    state = copy.deepcopy(model.state_dict())
    expected = losses_of(model)
    resumed = build(config)
    resumed.load_state_dict(state)
    torch.rand(7)
    before = torch.get_rng_state()
    again = losses_of(resumed)
    assert torch.get_rng_state().equal(before)
    for name in expected:
        assert again[name].equal(expected[name])
    other = build(config, seed=1)
    other.load_state_dict(state)
    assert total(losses_of(other)) != total(expected)
    assert total(losses_of(resumed)) != total(expected)


def test_evaluation_leaves_the_count_alone(config):
    model = build(config).eval()
    first, second = losses_of(model), losses_of(model)
    assert model.frames_seen == 0
    assert all(first[name].equal(second[name]) for name in first)


def test_frames_that_are_one_token(config):
    """Nothing can be masked in them."""
    batch = make_batch((1, 1))
    for points in batch['inputs']['points']:
        points[:, 3] = 1
    model = build(config)
    losses = losses_of(model, batch)
    assert total(losses).isfinite() and total(losses) > 0
    for name in ('loss_token', 'loss_masked'):
        assert losses.get(name, 0) == 0
    total(losses).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_regions_too_small_for_a_token_are_no_targets():
    batch = make_batch((6, 11))
    batch['inputs']['points'][0][4:, 3] = 0
    losses = losses_of(build(STAGE1, tokenizer=dict(SAM, min_points=5)), batch)
    assert losses['region_tokens'] < 6 and losses['loss_region'] > 0


def test_modes():
    model = build(STAGE1).eval()
    batch = make_batch((6, 11))
    inputs = model.data_preprocessor(batch)['inputs']
    features = model.backbone.point_features(inputs['points'])
    assert model(inputs).equal(features)
    assert features.shape == (*inputs['points'].shape[:2], 32)
    with pytest.raises(ValueError, match='modes loss and tensor'):
        model(inputs, mode='predict')


def test_a_token_depends_on_its_own_points_and_centers():
    """Through the embedding; moving one region changes one token."""
    model = without_norm_statistics(build(STAGE1))
    points = torch.stack(make_batch((6, ))['inputs']['points'])
    xyz, tokens = model.tokenize(points)
    place = int((tokens.region_ids[0] == 3).nonzero())
    before = model.backbone.embedding(xyz, tokens)
    points[0, points[0, :, 3] == 3, 0] *= 1.1
    xyz, tokens = model.tokenize(points)
    changed = (model.backbone.embedding(xyz, tokens) != before).any(-1)[0]
    assert changed.nonzero()[:, 0].tolist() == [place]


def test_bf16_autocast_stays_close(config):
    model = build(config).eval()
    expected = losses_of(model)
    with torch.autocast('cpu', torch.bfloat16):
        losses = losses_of(model)
    for name, value in losses.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected[name], atol=1e-3, rtol=.05)
    total(losses).backward()


def test_a_perfect_stage_1_has_no_loss():
    model = build(STAGE1).eval()
    batch = make_batch()
    points, tokens = model.tokenize(torch.stack(batch['inputs']['points']))
    decoded = model.predict(points, tokens)
    targets = model.target_generator(points, tokens, batch['data_samples'])
    perfect = targets._replace(features=model.head(decoded).detach())
    assert model.compute_losses(decoded, tokens, perfect)['loss_region'] == 0


def test_single_stage_losses_come_from_visible_and_masked_tokens():
    model = build(JOINT).eval()
    batch = make_batch((9, 14))
    points, tokens = model.tokenize(torch.stack(batch['inputs']['points']))
    outputs = model.predict(points, tokens)
    targets = model.target_generator(points, tokens, batch['data_samples'])
    losses = model.compute_losses(outputs, tokens, targets)
    wrong = targets.features + outputs.is_masked[..., None]
    changed = model.compute_losses(outputs, tokens,
                                   targets._replace(features=wrong))
    assert changed['loss_region'].equal(losses['loss_region'])
    assert not changed['loss_masked'].equal(losses['loss_masked'])


def test_refuses():
    model = build(STAGE1)
    batch = make_batch((6, 11))
    batch['inputs']['points'][1] = batch['inputs']['points'][1][:150]
    with pytest.raises(ValueError, match=r'points.*150.*200.*num_points'):
        losses_of(model, batch)
    for change, message in ((float('nan'), 'not finite'),
                            (-.5, 'holds no region ids')):
        batch = make_batch()
        batch['inputs']['points'][0][3, 3 if change < 0 else 1] = change
        with pytest.raises(ValueError, match=message):
            losses_of(model, batch)
    batch = make_batch()
    batch['inputs']['points'] = [p[:, :3] for p in batch['inputs']['points']]
    with pytest.raises(ValueError, match='holds no region ids'):
        losses_of(build(STAGE1, tokenizer=KNN), batch)
    with pytest.raises(ValueError, match='mask_ratio'):
        build(JOINT, mask_ratio=1.)


class CenterPretrainer(TokenPretrainer):
    """The smallest method: features must tell the token's centre."""

    def predict(self, points, tokens):
        return self.backbone.encode_tokens(points, tokens)

    def compute_losses(self, outputs, tokens, targets):
        error = (outputs[..., :3] - tokens.centers).square().sum(-1)
        return dict(loss=error[~tokens.is_padding].mean())


def test_a_new_method_overrides_two_functions():
    """Without regions too."""
    model = CenterPretrainer(dict(BACKBONE, tokenizer=KNN))
    points = [p[:, :3] for p in make_batch()['inputs']['points']]
    losses = losses_of(model, dict(inputs=dict(points=points)))
    assert losses['loss'] > 0
