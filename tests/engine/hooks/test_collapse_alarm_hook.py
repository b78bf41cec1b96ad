"""The alarm rings when tokens become alike, and changes nothing."""
import copy

import pytest
import torch
from mmdet3d.registry import MODELS

from sam3d_plugin.engine.hooks import collapse_alarm_hook
from sam3d_plugin.engine.hooks.collapse_alarm_hook import (token_spread,
                                                           untrained_twin)
from sam3d_plugin.engine.hooks.feature_view import view_features
from sam3d_plugin.models.heads import RegionDistillHead
from sam3d_plugin.models.pretrainers import TokenPretrainer
from sam3d_plugin.store.errors import UserError
from tests.models.pretraining_cases import (BACKBONE, ENCODER, JOINT, STAGE1,
                                            build, losses_of, make_batch)
from tests.random_states import unchanged_random_state
from .hook_cases import build_run

HOOK = dict(type='CollapseAlarmHook', interval=2, begin=0)
EVERY_STEP = dict(HOOK, interval=1)


def test_spread_of_known_features():
    every = torch.ones(1, 4, dtype=torch.bool)
    alike = torch.tensor([[[1., 2.], [2., 4.], [3., 6.], [.1, .2]]])
    assert token_spread(alike, every) == pytest.approx(0, abs=1e-6)
    cross = torch.tensor([[[1., 0.], [0., 5.], [-2., 0.], [0., -1.]]])
    assert token_spread(cross, every) == pytest.approx(1)
    first_two = every & torch.tensor([True, True, False, False])
    # mean (.5, .5): every token is sqrt(.5) away from it
    assert token_spread(cross, first_two) == pytest.approx(.5**.5)


def test_spread_is_that_within_frames():
    """Frames that differ do not hide tokens that are all alike."""
    frames = torch.tensor([[[1., 0.]] * 3, [[0., 1.]] * 3])
    assert token_spread(frames, torch.ones(2, 3, dtype=torch.bool)) == 0
    assert token_spread(frames, torch.zeros(2, 3, dtype=torch.bool)).isnan()


@pytest.mark.parametrize('config', [STAGE1, JOINT])
def test_looking_changes_nothing(config):
    model, twin = build(config), build(config)
    model.backbone.embedding.eval()
    twin.backbone.embedding.eval()
    modes = [module.training for module in model.modules()]
    batch = make_batch()
    with unchanged_random_state():
        view = view_features(model, batch)
    assert modes == [module.training for module in model.modules()]
    losses = losses_of(model)
    for name, value in losses_of(twin).items():
        assert torch.equal(value, losses[name])
    values, is_predicted = view.predictions
    assert values.shape[-1] == model.head.proj.out_features
    assert not (is_predicted & ~view.is_place).any()
    if config is JOINT:
        assert is_predicted.sum() < view.is_place.sum()


def test_the_twin_has_learned_nothing_and_the_model_stays(tmp_path):
    """Whatever the model started from, and read from no file."""
    model, batch = build(STAGE1), make_batch()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(.1)
    before = copy.deepcopy(model.state_dict())
    pretrained = dict(type='Pretrained', checkpoint='missing.pth')
    config = dict(BACKBONE, init_cfg=pretrained)
    config['encoder'] = dict(ENCODER, init_cfg=[pretrained])
    with unchanged_random_state():
        twin, again = (untrained_twin(model, config) for _ in range(2))
        views = [view_features(m, batch) for m in (model, twin, again)]
    spreads = [token_spread(v.features, v.is_place) for v in views]
    assert spreads[0] < spreads[1] == spreads[2]
    assert twin.head is model.head and twin.backbone is not model.backbone
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_run_without_a_config_of_its_encoder_is_refused(tmp_path):
    run = build_run(tmp_path, HOOK)
    run.cfg.pop('model')
    with pytest.raises(UserError, match='model.backbone'):
        run.train()


@MODELS.register_module()
class InheritedHead(RegionDistillHead):
    """Has no ``forward`` of its own."""


@MODELS.register_module()
class ScenePretrainer(TokenPretrainer):
    """Compares scenes; no token has a prediction."""

    def predict(self, points, tokens):
        return dict(scene=self.backbone.encode_tokens(points, tokens).mean(1))

    def compute_losses(self, outputs, tokens, targets):
        return dict(loss=outputs['scene'].square().mean())


def test_a_head_that_inherits_predicts_like_its_parent():
    config = dict(STAGE1, head=dict(STAGE1['head'], type='InheritedHead'))
    batch = make_batch()
    found, expected = (
        view_features(build(c), batch).predictions for c in (config, STAGE1))
    assert found.values.equal(expected.values)


def test_a_method_without_predictions_is_watched_by_its_features(
        tmp_path, capsys):
    model = dict(STAGE1, type='ScenePretrainer')
    hooks = [HOOK, dict(type='TokenPictureHook', interval=1, num_frames=1)]
    run = build_run(tmp_path, HOOK, model, custom_hooks=hooks)
    run.train()
    scalars = run.message_hub.log_scalars
    assert 'train/spread_features' in scalars
    assert 'train/spread_predictions' not in scalars
    pictures = {path.name for path in tmp_path.rglob('*.png')}
    assert pictures == {
        f'epoch_00{epoch}_frame_0_features.png'
        for epoch in (1, 2)
    }


def test_collapsed_tokens_are_reported_with_numbers(tmp_path, capsys):
    shown = train_collapsed(tmp_path / 'all', capsys, EVERY_STEP)
    assert 'collapse: at step 3 tokens spread 0.000' in shown
    assert 'whiten the targets' in shown and 'learning rate' in shown
    assert 'at step 4' in shown and 'at step 2' not in shown


def test_a_stage_that_ends_at_the_first_step_of_alarms_is_watched(
        tmp_path, capsys):
    shown = train_collapsed(tmp_path, capsys, dict(EVERY_STEP, begin=4))
    assert 'at step 3' not in shown and 'collapse: at step 4' in shown


def test_one_low_look_is_no_alarm(tmp_path, capsys, monkeypatch):
    """Looks are of a few frames. In each the features come first."""
    spreads = iter([.4, .5, .1, .4, .5, .1, .6, .5, .1, .4, .5, .1])
    monkeypatch.setattr(collapse_alarm_hook, 'token_spread',
                        lambda *_: torch.tensor(next(spreads)))
    build_run(tmp_path, EVERY_STEP).train()
    assert next(spreads, None) is None
    assert 'collapse' not in capsys.readouterr().out


def test_low_looks_before_and_after_a_break_are_in_a_row(tmp_path, capsys):
    options = dict(train_cfg=dict(by_epoch=True, max_epochs=1))
    shown = train_collapsed(tmp_path, capsys, EVERY_STEP, **options)
    assert 'collapse' not in shown
    shown = train_collapsed(tmp_path, capsys, EVERY_STEP, resume=True)
    assert 'collapse: at step 3' in shown


def train_collapsed(work_dir, capsys, hook, **changes):
    """Train a model whose tokens are all alike; return the log."""
    optimizer = dict(
        type='OptimWrapper', optimizer=dict(type='SGD', lr=0., momentum=0.))
    run = build_run(work_dir, hook, optim_wrapper=optimizer, **changes)
    with torch.no_grad():
        run.model.backbone.encoder.norm.weight.zero_()
        run.model.backbone.encoder.norm.bias.fill_(1)
    run.train()
    return capsys.readouterr().out


def spreads(run):
    scalars = run.message_hub.log_scalars
    return {
        name: scalars[f'train/spread_{name}'].data[0]
        for name in ('features', 'predictions', 'untrained')
    }


def test_healthy_training_is_silent_and_resumes_as_if_unbroken(
        tmp_path, capsys):
    whole = build_run(tmp_path / 'whole', HOOK)
    whole.train()
    options = dict(train_cfg=dict(by_epoch=True, max_epochs=1))
    build_run(tmp_path / 'parts', HOOK, **options).train()
    resumed = build_run(tmp_path / 'parts', HOOK, resume=True)
    resumed.train()
    assert 'collapse' not in capsys.readouterr().out
    assert min(spreads(whole)['untrained']) > 0
    for name, values in spreads(whole).items():
        assert len(values) == 2
        assert (values == spreads(resumed)[name]).all()


def test_training_is_the_same_with_and_without(tmp_path):
    with_hook = build_run(tmp_path / 'with', HOOK)
    with_hook.train()
    without = build_run(tmp_path / 'without', HOOK, custom_hooks=[])
    without.train()
    theirs = without.model.state_dict()
    for name, tensor in with_hook.model.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name
