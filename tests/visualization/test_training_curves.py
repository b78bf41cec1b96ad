"""Losses of trainings over their steps."""
import numpy as np
import pytest

from sam3d_plugin.visualization.training_curves import (Line,
                                                        draw_training_curves)

FALLING = Line([1, 10, 20], [8.0, 4.0, 1.0])
LOWER = Line([1, 10, 20], [6.0, 2.0, 0.3])
BLUE, RED = (0, 114, 178), (213, 94, 0)


def count(picture, color):
    return (np.abs(picture.astype(int) - color).max(axis=2) < 8).sum()


def test_each_group_has_one_colour_and_a_place_in_the_legend():
    alone = draw_training_curves({'votenet': {'fresh': [FALLING]}})
    assert alone.dtype == np.uint8
    assert count(alone, BLUE) > 100 and count(alone, RED) == 0
    both = draw_training_curves(
        {'votenet': {
            'fresh': [FALLING, LOWER],
            'stage 1': [LOWER]
        }})
    assert count(both, RED) > 100
    assert both.shape == alone.shape


def test_every_configuration_has_a_panel():
    one = draw_training_curves({'a': {'fresh': [FALLING]}})
    four = draw_training_curves(
        {name: {
            'fresh': [FALLING]
        }
         for name in 'abcd'})
    assert four.shape == (2 * one.shape[0], 3 * one.shape[1], 3)
    height = one.shape[0]
    assert count(four[height:, :one.shape[1]], BLUE) > 100
    assert (four[height:, one.shape[1]:] == 255).all(), 'empty panels'


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match='no curve'):
        draw_training_curves({})
    with pytest.raises(ValueError, match='no curve'):
        draw_training_curves({'a': {'fresh': []}})
