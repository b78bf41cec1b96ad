"""Learning rates of an encoder, block by block."""
import pytest
from mmdet3d.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from tests.models.three_detr_cases import (SET_ABSTRACTION, TOKENS, build,
                                           detector_cfg)

DEPTH3 = dict(
    TOKENS, encoder=dict(type='PlainPointTransformer', embed_dims=32, depth=3))


def build_wrapper(model, optimizer=None, **paramwise):
    init_default_scope('mmdet3d')
    return build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            constructor='LayerDecayOptimWrapperConstructor',
            optimizer=optimizer or dict(type='AdamW', lr=1., weight_decay=.1),
            paramwise_cfg=paramwise))


def groups(model, **paramwise):
    """Settings of every parameter, by name."""
    names = {id(p): name for name, p in model.named_parameters()}
    wrapper = build_wrapper(model, **paramwise)
    found = {
        names[id(group['params'][0])]: group
        for group in wrapper.optimizer.param_groups
    }
    assert found.keys() == {
        name
        for name, p in model.named_parameters() if p.requires_grad
    }
    return found


EXPECTED = {
    'backbone.embedding.': .5**4,
    'backbone.encoder.position_embedding.': .5**4,
    'backbone.encoder.blocks.0.': .5**3,
    'backbone.encoder.blocks.1.': .5**2,
    'backbone.encoder.blocks.2.': .5,
    'backbone.encoder.norm.': 1.,
    'backbone.out_proj.': 1.,
    'bbox_head.': 1.,
}


def test_rates_halve_from_block_to_block():
    found = groups(MODELS.build(detector_cfg(DEPTH3)), layer_decay=.5)
    seen = set()
    for name, group in found.items():
        part = next(part for part in EXPECTED if name.startswith(part))
        assert group['lr'] == pytest.approx(EXPECTED[part]), name
        seen.add(part)
    assert seen == set(EXPECTED)


def test_decay_of_1_changes_nothing():
    found = groups(build(DEPTH3), layer_decay=1)
    assert {group['lr'] for group in found.values()} == {1.}


def test_other_settings_act_as_ever():
    found = groups(
        build(DEPTH3),
        layer_decay=.5,
        norm_decay_mult=0.,
        custom_keys=dict(backbone=dict(lr_mult=.1)))
    first = found['backbone.encoder.blocks.0.qkv.weight']
    assert first['lr'] == pytest.approx(.1 * .5**3)
    assert found['backbone.out_proj.weight']['lr'] == pytest.approx(.1)
    head = 'bbox_head.decoder.layers.0.'
    assert found[head + 'mlp.0.weight']['lr'] == 1
    assert found[head + 'mlp.0.weight']['weight_decay'] == .1
    assert found[head + 'norms.0.weight']['weight_decay'] == 0


def test_frozen_encoder_has_no_rate():
    model = MODELS.build(detector_cfg(dict(DEPTH3, frozen=True)))
    found = groups(model, layer_decay=.5)
    assert not any(name.startswith('backbone.encoder') for name in found)


@pytest.mark.parametrize('decay', [None, 0, -1, 1.1])
def test_decay_is_checked(decay):
    with pytest.raises(ValueError, match='layer_decay, more than 0'):
        build_wrapper(build(DEPTH3), layer_decay=decay)


def test_optimizer_without_rate_is_refused():
    with pytest.raises(ValueError, match='needs optim_wrapper.optimizer.lr'):
        build_wrapper(build(DEPTH3), dict(type='AdamW'), layer_decay=.5)


def test_models_without_such_an_encoder_are_refused():
    with pytest.raises(ValueError, match='ThreeDETR has none'):
        build_wrapper(build(SET_ABSTRACTION), layer_decay=.5)
    encoder = dict(
        type='ThreeDETREncoder', embed_dims=32, feedforward_dims=16, depth=1)
    with pytest.raises(ValueError, match='ThreeDETREncoder has no blocks'):
        build_wrapper(build(dict(TOKENS, encoder=encoder)), layer_decay=.5)
