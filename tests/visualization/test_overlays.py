"""Regions over images, depth in colour, and sheets of both."""
import io

import numpy as np
import pytest
from PIL import Image

from sam3d_plugin.visualization.overlays import (FramePanels, contact_sheet,
                                                 depth_range, draw_depth,
                                                 draw_regions, encode_png, fit,
                                                 region_borders)
from sam3d_plugin.visualization.points import colors_from_ids

IDS = np.zeros((8, 12), np.uint16)
IDS[:, 4:8] = 1
IDS[:, 8:] = 2
GREY = np.full((8, 12, 3), 100, np.uint8)


def test_borders_lie_where_ids_change():
    borders = region_borders(IDS)
    assert borders[:, [3, 7]].all() and borders.sum() == 16
    assert not region_borders(np.ones((3, 3))).any()


def test_regions_are_mixed_with_the_image_and_the_rest_stays():
    image = draw_regions(GREY, IDS)
    assert (image[:, :3] == 100).all(), 'no region: as it was'
    color = colors_from_ids([1])[0]
    mixed = 0.45 * 100 + 0.55 * color
    assert np.abs(image[4, 5] - mixed).max() <= 0.5
    assert (image[4, 5] != image[4, 10]).any()
    assert (image[:, 3] == 255).all()


def test_an_id_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match='12x8 does not fit an image of 6x8'):
        draw_regions(GREY[:, :6], IDS)


def test_id_maps_shrink_without_new_ids_and_nothing_grows():
    small = fit(np.kron(IDS, np.ones((10, 10), np.uint16)), 12, True)
    np.testing.assert_array_equal(small, IDS)
    assert fit(GREY, 500, False) is GREY
    assert fit(np.zeros((600, 2, 3), np.uint8), 30, False).shape == (30, 1, 3)


def test_depth_without_value_is_grey_and_near_is_bright():
    depth = np.array([[0, 1.0, 2.0, 3.0]])
    near, far = depth_range([depth, np.zeros((2, 2))])
    assert 1 <= near < 1.1 and 2.9 < far <= 3
    image = draw_depth(depth, near, far).astype(int)
    assert (image[0, 0] == image[0, 0, 0]).all()
    brightness = image[0, 1:].sum(axis=1)
    assert (np.diff(brightness) < 0).all()
    assert depth_range([]) == (0.0, 1.0)


def test_a_sheet_has_a_row_of_three_panels_per_frame():
    depth = np.ones((8, 12))
    frames = [
        FramePanels('a', GREY, IDS, depth),
        FramePanels('b', GREY, note='no region')
    ]
    sheet = contact_sheet(frames, max_side=12, title='a scan')
    taller = contact_sheet(frames * 2, max_side=12, title='a scan')
    one = contact_sheet(frames[:1], max_side=12, title='a scan')
    step = sheet.shape[0] - one.shape[0]
    assert taller.shape[0] == sheet.shape[0] + 2 * step
    png = Image.open(io.BytesIO(encode_png(sheet)))
    np.testing.assert_array_equal(np.asarray(png), sheet)
    with pytest.raises(ValueError, match='at least one frame'):
        contact_sheet([])
