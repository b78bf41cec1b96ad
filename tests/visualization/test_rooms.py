"""One view of a room as an array."""
import numpy as np
import pytest

from sam3d_plugin.visualization.box_groups import class_groups, line_color
from sam3d_plugin.visualization.boxes import LabelledBoxes
from sam3d_plugin.visualization.render import best_azimuth, draw_room
from sam3d_plugin.visualization.scene import Scene

XYZ = np.random.default_rng(0).uniform(size=(400, 3)) * (4, 3, 2)
GREY = np.full((400, 3), 128, np.uint8)
BOXES = LabelledBoxes(
    np.array([[1, 1, 1, 1, 1, 1], [3, 2, 1, 1, 1, 1], [2, 2, 1, 1, 1, 1]]),
    ['chair', 'bed', 'chair'], np.array([.9, .8, .7]))
PALETTE = dict(chair=(200, 0, 0), bed=(0, 0, 200))


def test_boxes_are_drawn_over_the_same_view():
    room = Scene('room', XYZ, GREY)
    bare = draw_room(room)
    drawn = draw_room(room, class_groups(BOXES, PALETTE))
    assert bare.dtype == np.uint8 and bare.shape == drawn.shape
    assert bare.shape[1] == pytest.approx(1080, abs=8)
    # Grey points on white alone have no colour.
    assert (np.ptp(bare.astype(int), axis=2) < 4).all()
    red, _, blue = drawn.astype(int).transpose(2, 0, 1)
    assert (red > blue + 100).sum() > (blue > red + 100).sum() > 100
    np.testing.assert_array_equal(bare, draw_room(room))


def test_matches_come_first_and_are_solid():
    groups = class_groups(BOXES, PALETTE, np.array([False, True, True]))
    assert [(g.legend, g.is_dashed, g.boxes.captions()) for g in groups] == [
        ('bed', False, ('bed 0.80', )),
        ('chair', False, ('chair 0.70', )),
        ('chair', True, ('chair 0.90', )),
    ]
    assert class_groups(BOXES.select(slice(0)), PALETTE) == []


def test_bright_colours_are_darkened_and_keep_their_hue():
    assert line_color((31, 119, 180)) == '#1f77b4'
    pale = line_color((255, 187, 120))
    rgb = np.array([int(pale[i:i + 2], 16) for i in (1, 3, 5)])
    assert rgb @ [0.2126, 0.7152, 0.0722] == pytest.approx(.45 * 255, abs=1)
    np.testing.assert_allclose(
        rgb / rgb.max(), np.array([255, 187, 120]) / 255, atol=.01)


def test_the_longer_side_runs_away_from_the_camera():
    assert best_azimuth(XYZ) == -30
    assert best_azimuth(XYZ[:, [1, 0, 2]]) == -60
