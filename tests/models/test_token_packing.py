"""Padding costs no work and changes nothing."""
import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS

from sam3d_plugin.models.backbones import plain_point_transformer
from sam3d_plugin.models.backbones.token_packing import find_packing
from tests.emulated_torch import ragged_attention

ENCODER = dict(
    type='PlainPointTransformer', embed_dims=32, depth=2, position_dims=16)
COUNTS = (4, 9, 1)


def make_padding():
    """Padding may stand anywhere, not only at the end."""
    is_padding = torch.ones(len(COUNTS), 9, dtype=torch.bool)
    for row, count in zip(is_padding, COUNTS):
        row[torch.randperm(9)[:count]] = False
    return is_padding


def test_packed_tokens_return_to_their_places():
    is_padding = make_padding()
    x = torch.rand(3, 9, 5)
    packing = find_packing(is_padding, None)
    packed = packing.pack(x)
    assert packed.equal(x[~is_padding])
    assert packing.scenes.bincount().tolist() == list(COUNTS)
    padded = packing.pad(packed)
    assert padded[~is_padding].equal(x[~is_padding])
    assert not padded[is_padding].any()


@pytest.mark.parametrize('drop_path', [0., .5])
def test_padded_scenes_equal_scenes_alone(drop_path):
    """Features and gradients, with drop path the same for a whole scene."""
    encoder = MODELS.build(dict(ENCODER, drop_path=drop_path)).train()
    is_padding = make_padding()
    x = torch.rand(3, 9, 32, requires_grad=True)
    centers = torch.rand(3, 9, 3)
    torch.manual_seed(1)
    together = encoder(x, centers, is_padding)
    together.square().sum().backward()
    gradient, x.grad = x.grad, None
    assert not gradient[is_padding].any()

    torch.manual_seed(1)
    keeps = [torch.rand(3) for _ in range(4 if drop_path else 0)]
    for scene, is_left_out in enumerate(is_padding):
        factors = [(keep[scene] + 1 - drop_path).floor() / (1 - drop_path)
                   for keep in keeps] or [1.] * 4
        values = x[scene, ~is_left_out]
        place = encoder.position_embedding(centers[scene, ~is_left_out])
        for block in encoder.blocks:
            values = values + place
            values = values + factors.pop(0) * block._attend(
                block.norm1(values)[None], None)[0]
            values = values + factors.pop(0) * block.mlp(block.norm2(values))
        values = encoder.norm(values)
        torch.testing.assert_close(
            together[scene, ~is_left_out], values, rtol=1e-5, atol=1e-5)
        values.square().sum().backward()
    torch.testing.assert_close(x.grad, gradient, rtol=1e-4, atol=1e-5)


def test_linear_layers_see_real_tokens_only():
    encoder = MODELS.build(ENCODER)
    rows = []
    for block in encoder.blocks:
        for layer in (block.qkv, block.proj, block.mlp[0]):
            layer.register_forward_hook(
                lambda layer, inputs, output: rows.append(output.shape[:-1]))
    is_padding = make_padding()
    encoder(torch.rand(3, 9, 32), torch.rand(3, 9, 3), is_padding)
    assert {tuple(shape) for shape in rows} == {(sum(COUNTS), )}


def test_bf16_stays_close():
    encoder = MODELS.build(dict(ENCODER, drop_path=.5)).train()
    inputs = torch.rand(3, 9, 32), torch.rand(3, 9, 3), make_padding()
    torch.manual_seed(1)
    expected = encoder(*inputs)
    torch.manual_seed(1)
    with torch.autocast('cpu', torch.bfloat16):
        found = encoder(*inputs)
    assert (found.float() - expected).abs().max() < .1


def test_known_counts_give_the_same_packing():
    is_padding = torch.arange(9) >= torch.tensor(COUNTS)[:, None]
    found = find_packing(is_padding, np.array(COUNTS))
    expected = find_packing(is_padding, None)
    for mine, theirs in zip(found, expected):
        torch.testing.assert_close(mine, theirs)
    assert found.starts.tolist() == [0, 4, 13, 14] and found.longest == 9
    assert find_packing(is_padding[1:2], np.array([9])) is None


def test_ragged_attention_equals_padded_attention(monkeypatch):
    encoder = MODELS.build(ENCODER).eval()
    inputs = torch.rand(3, 9, 32), torch.rand(3, 9, 3)
    is_padding = make_padding()
    padded = encoder(*inputs, is_padding)
    monkeypatch.setattr(plain_point_transformer, 'runs_ragged',
                        lambda values: True)
    varlen = pytest.importorskip('torch.nn.attention.varlen')
    monkeypatch.setattr(varlen, 'varlen_attn', ragged_attention)
    ragged = encoder(*inputs, is_padding)
    torch.testing.assert_close(ragged[~is_padding], padded[~is_padding])


def test_ragged_attention_takes_the_arguments_of_torch():
    """The real operator refuses the CPU, not the call."""
    varlen = pytest.importorskip('torch.nn.attention.varlen')
    query = torch.rand(5, 2, 8, dtype=torch.bfloat16)
    starts = torch.tensor([0, 2, 5], dtype=torch.int32)
    with pytest.raises(NotImplementedError, match='CPU'):
        varlen.varlen_attn(query, query, query, starts, starts, 3, 3)
