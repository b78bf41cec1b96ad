"""Masked places: who is hidden, what the decoder puts there."""
import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS

from sam3d_plugin.models.pretrainers.masking import (frame_generators,
                                                     random_mask,
                                                     select_tokens)
from sam3d_plugin.structures import PointTokens
from .pretraining_cases import MASKED_DECODER, SAM, build, make_batch


class _KeepInput(torch.nn.Module):
    embed_dims = 8

    def forward(self, x, *place):
        return x


@pytest.mark.parametrize('ratio, expected', [(0., [0, 0, 0, 0]),
                                             (.6, [0, 3, 6, 60]),
                                             (.29, [0, 1, 2, 29])])
def test_mask_takes_its_share_of_each_frame(ratio, expected):
    counts = np.array([1, 5, 10, 100])
    is_padding = np.arange(100) >= counts[:, None]
    is_masked = random_mask(is_padding, ratio,
                            frame_generators(3, range(7, 11)))
    assert is_masked.sum(1).tolist() == expected
    assert not (is_masked & is_padding).any()


def test_mask_depends_on_seed_and_frame_number_alone():
    is_padding = np.zeros((4, 30), bool)
    masks = random_mask(is_padding, .6, frame_generators(0, range(8, 12)))
    assert len({row.tobytes() for row in masks}) == 4
    # as a second process or a later step would see them, and with padding
    padded = np.stack([np.arange(45) >= 30] * 2)
    for numbers, rows in (([9, 11], [1, 3]), ([10, 11], [2, 3])):
        others = random_mask(padded, .6, frame_generators(0, numbers))
        assert (others[:, :30] == masks[rows]).all()
    other = random_mask(is_padding, .6, frame_generators(1, range(8, 12)))
    assert (other != masks).any(axis=1).all()


def test_every_token_is_masked_as_often():
    masks = random_mask(
        np.zeros((600, 10), bool), .6, frame_generators(0, range(600)))
    share = masks.mean(0)
    assert abs(share - .6).max() < 5 * (.24 / 600)**.5


def make_places(centers):
    """Tokens of which only the places count."""
    nothing = torch.zeros(centers.shape[:2], dtype=torch.int64)
    return PointTokens(centers, nothing, nothing, nothing.bool(),
                       torch.zeros(0), torch.zeros(nothing.numel() + 1))


def make_tokens():
    batch = make_batch((5, 12, 7))
    points = torch.stack(batch['inputs']['points'])
    return MODELS.build(dict(SAM))(points[..., :3], points[..., 3].long())


def test_selected_tokens_keep_their_points():
    tokens = make_tokens()
    assert tokens.is_padding.any()
    is_kept = (torch.rand(tokens.is_padding.shape) < .4) & ~tokens.is_padding
    is_kept[1] = False
    is_kept[1, 2] = True
    visible, indices = select_tokens(tokens, is_kept.numpy())
    assert visible.centers.shape[1] == is_kept.sum(1).max()
    for scene, kept in enumerate(is_kept):
        places = kept.nonzero()[:, 0].tolist()
        count = len(places)
        assert indices[scene, :count].tolist() == places
        assert not kept[indices[scene, count:]].any()
        assert len(set(indices[scene].tolist())) == indices.shape[1]
        assert visible.is_padding[scene].tolist() == [
            i >= count for i in range(indices.shape[1])
        ]
        for new, old in enumerate(places):
            assert members(visible, scene, new) == members(tokens, scene, old)
            for field in ('centers', 'anchor_indices', 'region_ids'):
                assert getattr(visible, field)[scene, new].equal(
                    getattr(tokens, field)[scene, old])
    assert visible.member_counts[visible.is_padding].sum() == 0


def members(tokens, scene, place):
    token = scene * tokens.is_padding.shape[1] + place
    begin, end = tokens.member_offsets[token:token + 2].tolist()
    return tokens.member_points[begin:end].tolist()


def test_keeping_all_tokens_changes_nothing():
    tokens = make_tokens()
    visible, _ = select_tokens(tokens, ~tokens.padding_on_cpu)
    for field in ('centers', 'region_ids', 'is_padding', 'member_points',
                  'member_offsets'):
        assert getattr(visible, field).equal(getattr(tokens, field))


def test_masked_places_start_as_the_mask_token():
    decoder = build(MASKED_DECODER)
    decoder.transformer = _KeepInput()
    decoder.mask_token = torch.nn.Parameter(torch.full((8, ), 5.))
    encoded = torch.randn(2, 3, 8)
    indices = torch.tensor([[0, 2, 3], [1, 0, 2]])
    visible_is_padding = torch.tensor([[0, 0, 0], [0, 1, 1]]).bool()
    decoded = decoder(encoded, indices, visible_is_padding,
                      make_places(torch.zeros(2, 4, 3)))
    expected = torch.full((2, 4, 8), 5.)
    expected[0, [0, 2, 3]] = encoded[0]
    expected[1, 1] = encoded[1, 0]
    assert decoded.equal(expected)


def test_decoder_reaches_masked_places_by_their_position():
    decoder = build(MASKED_DECODER).eval()
    encoded = torch.randn(1, 2, 32)
    centers = torch.randn(1, 5, 3)
    args = (torch.tensor([[1, 3]]), torch.zeros(1, 2).bool())
    decoded = decoder(encoded, *args, make_places(centers))
    moved = centers.clone()
    moved[0, [0, 2]] = moved[0, [2, 0]]
    swapped = decoder(encoded, *args, make_places(moved))
    torch.testing.assert_close(
        swapped[:, [2, 1, 0, 3, 4]], decoded, atol=1e-5, rtol=1e-5)
    assert (decoded[0, 0] - decoded[0, 2]).abs().max() > 1e-3
    # the norm's sum over channels would be constant
    decoded[:, [0, 2, 4], 0].sum().backward()
    assert decoder.mask_token.grad.abs().sum() > 0
