"""Tests of recognising colours in every usual scale and storage form."""
import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scans.colors import (CHANNEL_NAMES,
                                                           find_colors,
                                                           scale_colors,
                                                           unpack_colors)

RGB = np.random.default_rng(0).integers(0, 256, (200, 3))


def _one_over(values, high):
    values = values.copy()
    values[3, 1] = high
    return values


@pytest.mark.parametrize(
    'stored', [
        RGB.astype(np.uint8),
        RGB.astype(np.float32),
        RGB.astype(np.int64),
        RGB / 255,
        (RGB / 255).astype(np.float32),
        RGB.astype(np.uint16) * 257,
        RGB * 257.0,
        np.concatenate([RGB, np.full((200, 1), 255)], 1),
    ],
    ids=lambda x: f'{x.dtype}-{x.max():g}')
def test_every_scale_becomes_0_to_255(stored):
    rgb, _ = scale_colors(stored)
    assert rgb.dtype == np.float32
    assert np.allclose(rgb, RGB, atol=1e-3)


@pytest.mark.parametrize('stored', [
    _one_over(RGB / 255, 1.02),
    _one_over(RGB / 255, -.01),
    _one_over(RGB.astype(float), 255.4),
    _one_over(RGB.astype(float), 270.),
])
def test_values_just_beyond_the_scale_are_cut_off_and_said(stored):
    rgb, note = scale_colors(stored)
    others = np.delete(np.arange(600), 10)
    assert np.allclose(rgb.reshape(-1)[others], RGB.reshape(-1)[others])
    assert 'cut off' in note and 0 <= rgb.min() and rgb.max() <= 255


@pytest.mark.parametrize('stored', [
    RGB / 127.5 - 1,
    RGB * 4.,
    RGB.astype(np.int64) - 1,
    np.full((5, 3), np.nan),
    _one_over(RGB / 255, 7.),
    _one_over(RGB.astype(np.int64), 256 * 256),
])
def test_other_ranges_are_named(stored):
    with pytest.raises(ValueError, match='colors'):
        scale_colors(stored)


@pytest.mark.parametrize('names', [
    *CHANNEL_NAMES, ('Red', 'Green', 'Blue'), ('R', 'G', 'B'),
    ('scalar_R', 'scalar_G', 'scalar_B')
])
def test_three_properties_by_any_usual_name(names):
    columns = {name: RGB[:, i] for i, name in enumerate(names)}
    rgb, used = find_colors(dict(columns, other=RGB[:, 0]))
    assert np.array_equal(rgb, RGB) and used == list(names)


@pytest.mark.parametrize('as_float', [False, True])
def test_packed_colours(as_float):
    packed = (RGB << np.array([16, 8, 0])).sum(1).astype(np.uint32)
    if as_float:
        packed = packed.view(np.float32)
    assert np.array_equal(unpack_colors(packed), RGB)
    assert np.array_equal(find_colors(dict(rgb=packed))[0], RGB)


def test_splats_and_grey():
    harmonics = (RGB / 255 - .5) / 0.28209479177387814
    rgb, _ = find_colors({f'f_dc_{i}': harmonics[:, i] for i in range(3)})
    assert np.allclose(scale_colors(rgb)[0], RGB, atol=1e-3)
    rgb, used = find_colors(dict(intensity=RGB[:, 0]))
    assert np.array_equal(rgb, RGB[:, [0, 0, 0]]) and used == ['intensity']


def test_no_colours():
    assert find_colors(dict(red=RGB[:, 0], green=RGB[:, 1])) == (None, [])


@pytest.mark.parametrize('names', [
    ('red_8bit', 'green_8bit', 'blue_8bit'),
    ('vertex_red', 'vertex_green', 'vertex_blue'),
    ('scalar_Red', 'scalar_Green', 'scalar_Blue'),
])
def test_names_that_differ_in_the_color_only(names):
    columns = {name: RGB[:, i] for i, name in enumerate(names)}
    rgb, used = find_colors(columns)
    assert np.array_equal(rgb, RGB) and used == list(names)


@pytest.mark.parametrize('values', [
    RGB[:, 0].astype(np.uint8), RGB[:, 0].astype(np.int64), RGB[:, 0].astype(
        np.float32), (RGB[:, 0] / 255).astype(np.float32)
])
def test_one_channel_named_rgb_is_grey(values):
    rgb, _ = find_colors(dict(rgb=values))
    assert np.allclose(scale_colors(rgb)[0], RGB[:, [0, 0, 0]], atol=1e-3)


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.uint16])
def test_whole_numbers_from_0_to_1_were_cut_off(dtype):
    with pytest.raises(ValueError, match='from 0 to 1'):
        scale_colors((RGB > 127).astype(dtype))


@pytest.mark.parametrize('value', [0, 128, 1.0])
def test_one_color_for_all_is_said(value):
    note = scale_colors(np.full((5, 3), value))[1]
    assert f'all color values are {value:g}' in note
