"""Latent prediction: the copy, its targets, what is hidden."""
import copy

import pytest
import torch

import projects.jepa  # noqa: F401 (registers)
from sam3d_plugin.engine.options import read_config
from tests.models.pretraining_cases import (KNN, SAM, STAGE2, build, losses_of,
                                            make_batch, with_parts)

CONFIG = read_config('projects/jepa/configs/jepa_mini.py', {}).model
MODEL = dict(
    with_parts({key: STAGE2[key]
                for key in ('backbone', 'decoder')},
               tokenizer=KNN),
    type='JEPA',
    head=dict(CONFIG.head, proj_channels=32),
    block_ratios=CONFIG.block_ratios,
    num_blocks=CONFIG.num_blocks,
    momentum=(.9, .9))


def make(**changes):
    model = build(copy.deepcopy(MODEL), **changes)
    model.init_weights()
    return model.train()


def step(model, optimizer, batch=None):
    loss = losses_of(model, batch)['loss_token']
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def weights(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def equal(first, second):
    return all(first[key].equal(second[key]) for key in first)


@pytest.mark.parametrize('momentum', [0., 1.])
def test_the_copy_is_the_encoder_of_the_last_step_or_the_first(momentum):
    model = make(momentum=(momentum, momentum))
    optimizer = torch.optim.SGD(model.parameters(), lr=.1)
    start = weights(model.backbone)
    assert equal(weights(model.teacher.module), start)
    for _ in range(3):
        before = weights(model.backbone)
        step(model, optimizer)
        expected = before if momentum == 0 else start
        for name, value in model.teacher.module.named_parameters():
            assert value.equal(expected[name]), name
    assert not equal(weights(model.backbone), start)


def test_the_copy_rests_while_others_look():
    model = make(momentum=(0., 0.))
    step(model, torch.optim.SGD(model.parameters(), lr=.1))
    before = weights(model.teacher)
    losses_of(model.eval())
    model.view(model.data_preprocessor(make_batch(), False)['inputs'])
    assert equal(weights(model.teacher), before)
    assert not model.train().teacher.module.encoder.training


def test_targets_do_not_depend_on_what_is_hidden():
    model = make()
    seen = []
    targets = model.targets
    model.targets = lambda *args: seen.append(targets(*args)) or seen[-1]
    masks = []
    for frames in (0, 8):
        model.frames_seen.fill_(frames)
        points, tokens = model.tokenize(
            **model.data_preprocessor(make_batch(), True)['inputs'])
        masks.append(model.mask(tokens))
        losses_of(model.eval())
    assert seen[0].equal(seen[1]) and not seen[0].requires_grad
    assert (masks[0] != masks[1]).any()
    torch.testing.assert_close(
        seen[0].square().mean(-1),
        torch.ones(seen[0].shape[:2]),
        rtol=0,
        atol=1e-3)


@pytest.mark.parametrize('tokenizer', [KNN, SAM])
def test_hidden_blocks_of_the_config_leave_tokens(tokenizer):
    model = make(tokenizer=tokenizer)
    inputs = model.data_preprocessor(make_batch(), True)['inputs']
    _, tokens = model.tokenize(**inputs)
    is_masked = model.mask(tokens)
    is_token = ~tokens.padding_on_cpu
    share = is_masked.sum(1) / is_token.sum(1)
    assert (share >= .1).all() and (share <= .8).all()
    assert not (is_masked & ~is_token).any()
    assert len({row.tobytes() for row in is_masked}) == len(is_masked)


def test_initial_loss():
    """Targets have variance 1, predictions .02 ** 2 times the width."""
    model = make()
    loss = losses_of(model)['loss_token'].item()
    assert loss == pytest.approx((1 + 32 * .02**2) / 4, rel=.05)


def test_two_frames_are_learned_from_a_copy_that_rests():
    model = make(momentum=(1., 1.))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = [step(model, optimizer) for _ in range(200)]
    assert sum(losses[-10:]) / 10 < .2 * losses[0]


@pytest.mark.parametrize('changes, word', [
    (dict(block_ratios=(.2, .3)), 'blocks'),
    (dict(momentum=(.9, 1.1)), 'momentum'),
])
def test_settings_that_cannot_be_are_refused(changes, word):
    with pytest.raises(ValueError, match=word):
        losses_of(make(**changes))


def test_no_mask_ratio_is_promised():
    assert not hasattr(make(), 'mask_ratio')
    with pytest.raises(TypeError, match='mask_ratio'):
        make(mask_ratio=.6)
