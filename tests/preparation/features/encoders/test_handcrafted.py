"""The features without weights: what each family answers to."""
import cv2
import numpy as np
import pytest

from sam3d_plugin.preparation.features.encoders import build_encoder, fit_size
from sam3d_plugin.preparation.features.encoders.handcrafted import _STANDARD
from sam3d_plugin.store.errors import StoreError

SIZE = 64
NUM_CHANNELS = sum(count for _, _, count in _STANDARD.values())


def encode(image, **options):
    options = dict(dict(long_side=max(image.shape[:2]), stride=1), **options)
    encoder = build_encoder('handcrafted', options)
    return encoder.encode([image])[0].numpy()


def family(features, name):
    """The channels of a family before standardisation."""
    begin = 0
    for key, (offset, spread, count) in _STANDARD.items():
        if key == name:
            return features[begin:begin + count] * spread + offset
        begin += count
    raise KeyError(name)


def flat(color):
    return np.full((SIZE, SIZE, 3), color, np.uint8)


def stripes(degrees, period=8):
    """Stripes whose gradient points along an angle."""
    y, x = np.mgrid[:SIZE, :SIZE]
    angle = np.deg2rad(degrees)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.repeat((128 + 100 * wave)[..., None], 3, 2).astype(np.uint8)


INNER = slice(16, -16)


def test_a_flat_surface_has_colour_only():
    features = encode(flat((200, 30, 30)))
    assert features.shape == (NUM_CHANNELS, SIZE, SIZE)
    assert features.dtype == np.float32
    np.testing.assert_allclose(
        features,
        features[:, :1, :1].repeat(SIZE, 1).repeat(SIZE, 2),
        atol=0.02)
    for name in ('gradients', 'orientations', 'lightness_deviation',
                 'chroma_deviation', 'blobs'):
        np.testing.assert_allclose(family(features, name), 0, atol=0.1)
    assert family(features, 'patterns')[0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize('color, index',
                         [((30, 30, 30), 0), ((120, 120, 120), 1),
                          ((230, 225, 220), 2), ((170, 45, 50), 3),
                          ((100, 70, 40), 5), ((40, 130, 60), 7),
                          ((50, 90, 160), 9)])
def test_basic_colours(color, index):
    members = family(encode(flat(color)), 'colors')[:, 5, 5]
    assert members.argmax() == index
    assert -1e-5 < members.min() and 0 < members.sum() <= 1.001


@pytest.mark.parametrize('orientation', range(6))
def test_orientations(orientation):
    features = encode(stripes(30 * orientation))
    responses = family(features, 'orientations')[:6, INNER, INNER]
    means = responses.mean((1, 2))
    assert means.argmax() == orientation
    assert means[orientation] > 5 * np.delete(means, orientation).max()
    magnitude = family(features, 'gradients')[0, INNER, INNER]
    np.testing.assert_allclose(responses.sum(0), magnitude, atol=1e-3)


def test_texture_is_told_from_flatness():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    rough, smooth = (encode(image) for image in (noise, flat(128)))
    for name in ('lightness_deviation', 'chroma_deviation', 'blobs',
                 'gradients'):
        assert family(rough, name)[:, INNER, INNER].mean() > 0.5
        assert family(smooth, name).max() < 0.1
    coherence = family(encode(stripes(0)), 'coherence')[:, INNER, INNER]
    assert coherence.mean() > 0.9
    assert family(rough, 'coherence')[:, INNER, INNER].mean() < 0.6


def test_no_channel_knows_the_position():
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 256, (32, 32, 3), np.uint8)
    features = encode(np.tile(tile, (4, 4, 1)))
    np.testing.assert_allclose(
        features[:, 32:64, 32:64], features[:, 64:96, 64:96], atol=1e-3)


def test_features_lie_where_the_pixels_do():
    image = flat(40)
    image[8:16, 40:56] = 220
    features = encode(image, stride=2)
    assert features.shape[1:] == (SIZE // 2, SIZE // 2)
    lightness = family(features, 'lightness')[0]
    y, x = np.nonzero(lightness > 50)
    assert (y.min(), y.max(), x.min(), x.max()) == (4, 7, 20, 27)


def test_sizes_and_determinism():
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (24, 32, 3), np.uint8), (640, 481))
    encoder = build_encoder('handcrafted', {})
    one, two = encoder.encode([image, image.copy()])
    assert one.shape == (NUM_CHANNELS, 120, 160)
    assert (one == two).all()
    small, = encoder.encode([image[:48, :31]])
    assert small.shape == (NUM_CHANNELS, 160, 103)
    assert 32 <= NUM_CHANNELS <= 64


@pytest.mark.parametrize('shape, multiple, expected', [
    ((480, 640), 14, (490, 644)),
    ((968, 1296), 14, (476, 644)),
    ((530, 730), 16, (464, 640)),
    ((640, 480), 14, (644, 490)),
    ((3, 1000), 14, (14, 644)),
])
def test_fitting_sizes(shape, multiple, expected):
    assert fit_size(*shape, 644, multiple) == expected


@pytest.mark.parametrize('options', [dict(long_side=0), dict(stride=0)])
def test_bad_options_are_refused(options):
    with pytest.raises(StoreError, match='positive'):
        build_encoder('handcrafted', options)


def test_unknown_encoder():
    with pytest.raises(StoreError, match='timm, transformers, standin'):
        build_encoder('dino', {})
