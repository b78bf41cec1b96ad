"""Colours of features."""
import numpy as np

from sam3d_plugin.visualization.features import pca_colors


def test_the_first_component_is_red_and_grows_with_its_channel():
    line = np.linspace(0, 1, 101)
    features = np.column_stack([line, 10 * line**0, -3 * line])
    colors = pca_colors(features)
    # channel 2 weighs most and falls along the line
    assert (np.diff(colors[:, 0].astype(int)) <= 0).all()
    assert colors[0, 0] == 255 and colors[-1, 0] == 0
    assert (colors[:, 1:] == 128).all()


def test_alike_features_are_alike_in_colour():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(4, 16))
    kinds = rng.integers(0, 4, 200)
    features = centers[kinds] + .01 * rng.normal(size=(200, 16))
    colors = pca_colors(features).astype(int)
    for kind in range(4):
        same = colors[kinds == kind]
        assert same.std(axis=0).max() < 5
        others = colors[kinds != kind]
        assert np.abs(others - same[0]).max(axis=1).min() > 20


def test_features_without_variance_are_grey():
    assert (pca_colors(np.ones((5, 7))) == 128).all()
    assert (pca_colors(np.ones((1, 2))) == 128).all()
