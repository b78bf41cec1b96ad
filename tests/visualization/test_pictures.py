"""The PNG and HTML files of small scenes."""
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.text import Text

from sam3d_plugin.visualization import render
from sam3d_plugin.visualization.box_groups import (TRUE_COLOR, BoxGroup,
                                                   match_groups)
from sam3d_plugin.visualization.boxes import NO_BOXES, LabelledBoxes
from sam3d_plugin.visualization.html import build_figure, write_scene_html
from sam3d_plugin.visualization.render import render_scene
from sam3d_plugin.visualization.scene import Scene, ViewOptions

POINTS = np.random.default_rng(0).uniform(0, 3, size=(300, 3))
COLORS = np.full((300, 3), 128, dtype=np.uint8)
TRUE = LabelledBoxes([[1, 1, 1, 1, 1, 1, 0.3], [2, 2, 1, 0.5, 0.5, 1, 0]],
                     ['chair', '<b>'])
PREDICTED = LabelledBoxes(
    [[1, 1, 1, 1, 1.1, 1, 0.3], [2.5, 0.5, 1, 0.4, 0.4, 0.4, 0]],
    ['chair', 'sofa'], [0.9, 0.4])
SCENE = Scene('a', POINTS, COLORS, TRUE, PREDICTED)


def near(picture: np.ndarray, color: str) -> int:
    """Count pixels of a colour, given as #rrggbb, in a BGR picture."""
    bgr = [int(color[i:i + 2], 16) for i in (5, 3, 1)]
    return int((np.abs(picture.astype(int) - bgr).max(axis=2) < 12).sum())


@pytest.mark.parametrize('true, predicted, blue, red', [
    (TRUE, PREDICTED, True, True),
    (TRUE, NO_BOXES, True, False),
    (None, PREDICTED, False, True),
    (NO_BOXES, NO_BOXES, False, False),
])
def test_png_shows_the_boxes_it_is_given(tmp_path: Path, true, predicted,
                                         blue: bool, red: bool):
    path = tmp_path / 'new' / 'scene.png'
    render_scene(path, Scene('a scene', POINTS, COLORS, true, predicted))
    picture = cv2.imread(str(path))
    assert (near(picture, '#0050B0') > 100) == blue
    assert (near(picture, '#D9400B') > 100) == red
    assert picture.shape[1] > picture.shape[0] > 400


def test_png_is_the_same_for_the_same_input(tmp_path: Path):
    options = ViewOptions(max_points=100)
    for name in ('first.png', 'second.png'):
        render_scene(tmp_path / name, Scene('a', POINTS, None, TRUE,
                                            PREDICTED), options)
    assert (tmp_path /
            'first.png').read_bytes() == (tmp_path /
                                          'second.png').read_bytes()


def test_single_point_without_colour_can_be_drawn(tmp_path: Path):
    point = np.array([[1.0, 2, 3]])
    render_scene(tmp_path / 'a.png', Scene('a', point, predicted=PREDICTED))
    write_scene_html(tmp_path / 'a.html', Scene('a', point, true=TRUE))
    assert (tmp_path / 'a.png').stat().st_size > 1000


def test_room_fills_its_panels(tmp_path: Path):
    side = np.linspace(0, 4, 100)
    faces = [np.stack(np.meshgrid(side, side, [0.0]), -1)]
    for axis in (0, 1):
        rise = [side, side]
        rise[axis] = np.array([0.0, 4])
        faces.append(np.stack(np.meshgrid(*rise, side / 2), -1))
    room = np.concatenate([face.reshape(-1, 3) for face in faces])
    render_scene(tmp_path / 'room.png', Scene('room', room))
    picture = cv2.imread(str(tmp_path / 'room.png'))
    assert (picture > 250).all(axis=2).mean() < 0.6


def test_box_behind_the_camera_does_not_break_the_picture(tmp_path: Path):
    far = LabelledBoxes([[50.0, -80, 90, 30, 30, 30, 0]], ['bed'], [0.5])
    render_scene(tmp_path / 'a.png', Scene('a', POINTS, COLORS, TRUE, far))
    assert cv2.imread(str(tmp_path / 'a.png')) is not None


def drawn_captions(boxes, monkeypatch):
    """Captions of a room as rectangles in pixels, and its view's."""
    found = []

    def keep(axes, groups, camera):
        draw(axes, groups, camera)
        found.extend(
            [axes.bbox.extents] +
            [Text.get_window_extent(text).extents for text in axes.texts])

    draw = render._caption_boxes
    monkeypatch.setattr(render, '_caption_boxes', keep)
    render.draw_room(Scene('a', POINTS), [BoxGroup(boxes, 'red', 'predicted')])
    return np.array(found[1:]), found[0]


def test_captions_do_not_overlap_and_stay_inside(monkeypatch):
    box = [1.5, 1.5, 1.5, 1, 1, 1, 0]
    boxes = LabelledBoxes([box] * 12, ['showercurtain'] * 12, np.ones(12))
    found, view = drawn_captions(boxes, monkeypatch)
    low, high = found[:, None, :2], found[:, None, 2:]
    apart = ((low >= found[None, :, 2:]) | (high <= found[None, :, :2]))
    assert len(found) == 12
    assert (apart.any(axis=2) | np.eye(12, dtype=bool)).all()
    assert (found[:, :2] >= view[:2]).all()
    assert (found[:, 2:] <= view[2:]).all()


def test_captions_without_a_free_place_are_left_out(monkeypatch):
    boxes = LabelledBoxes([[1.5, 1.5, 1.5, 1, 1, 1, 0]] * 400, ['a'] * 400)
    found, _ = drawn_captions(boxes, monkeypatch)
    assert 100 < len(found) < 400


def test_edges_behind_points_are_faint():
    """Of a box behind a wall of points, and of one before it."""
    side = np.linspace(0, 3, 120)
    wall = np.stack(np.meshgrid(side, [1.5], side), -1).reshape(-1, 3)
    ends = np.array([[0.0, 0, 0], [3, 3, 3]])
    scene = Scene('a', np.concatenate([wall, ends]))
    strong = []
    for y in (0.5, 2.5):
        boxes = LabelledBoxes([[1.5, y, 0.6, 0.4, 0.4, 0.4, 0]], ['a'])
        group = BoxGroup(boxes, TRUE_COLOR, 'true', is_captioned=False)
        view = ViewOptions(azimuth=-90, elevation=20)
        image = render.draw_room(scene, [group], view)
        strong.append(near(image[..., ::-1], TRUE_COLOR))
    assert strong[0] > 200 and strong[1] == 0


def test_nearer_points_cover_farther_ones_and_steps_are_shaded():
    side = np.linspace(0, 3, 150)
    floor = np.stack(np.meshgrid(side, side, [0.0]), -1).reshape(-1, 3)
    table = floor[(floor[:, :2] > 1).all(1) & (floor[:, :2] < 2).all(1)]
    points = np.concatenate([table + [0, 0, 1], floor])
    colors = np.repeat([[250, 0, 0], [0, 0, 250]], [len(table), len(floor)], 0)
    image = render.draw_room(
        Scene('a', points, colors), options=ViewOptions(elevation=89))
    red, _, blue = image[len(image) // 2].astype(int).T
    middle = len(red) // 2
    assert red[middle] > 240 and blue[middle] < 20
    shaded = blue[(red < 10) & (blue > 0)]
    assert shaded.min() < 240 and np.median(shaded) == 250


def test_html_needs_no_network(tmp_path: Path):
    path = tmp_path / 'scene.html'
    write_scene_html(path, Scene('room <1>', POINTS, COLORS, TRUE, PREDICTED))
    page = path.read_text()
    assert '<title>room &lt;1&gt;</title>' in page
    # Every script is inline, and nothing else is fetched when it opens.
    assert re.findall(r'<script[^>]*>', page)
    assert not re.search(r'<(script|link|img|iframe)[^>]*\b(src|href)=',
                         page.split('plotly.js v')[0])
    assert not re.search(r'<script[^>]*\bsrc\s*=', page)
    assert len(page) > 3_000_000, 'plotly itself is missing'


def test_each_kind_is_a_trace_with_hover_text():
    figure = build_figure(SCENE)
    points, true, predicted = figure.data
    assert len(points.x) == 300
    assert [trace.name for trace in figure.data
            ] == ['points', 'true (2)', 'predicted (2)']
    hover = set(predicted.hovertext)
    assert any('chair 0.90' in text and 'matches' in text for text in hover)
    assert any('sofa 0.40' in text and 'no match' in text for text in hover)
    assert any('&lt;b&gt;' in text for text in true.hovertext)
    drawn = np.array([x for x in true.x[:16]])
    corners = TRUE.boxes[0, 0] + np.array([-0.7, 0.7])
    assert corners[0] < drawn.min() < drawn.max() < corners[1]


def test_nobody_is_said_to_match_without_true_boxes():
    """A scan that nobody annotated, unlike one without any object."""
    for true, is_said in ((None, False), (NO_BOXES, True)):
        scene = Scene('a', POINTS, COLORS, true, PREDICTED)
        figure = build_figure(scene)
        hover = figure.data[2].hovertext
        assert any('no match' in text for text in hover) == is_said
        groups = match_groups(scene, 0.25)
        assert [(group.legend, len(group.boxes)) for group in groups
                ] == [('predicted, no match' if is_said else 'predicted', 2)]
    assert match_groups(Scene('a', POINTS), 0.25) == []


def test_wireframe_runs_over_all_twelve_edges():
    true = build_figure(Scene('a', POINTS, true=TRUE.select([1]))).data[1]
    stroke = np.stack([true.x, true.y, true.z], axis=1)[:16].astype(float)
    edges = {
        frozenset(map(tuple, pair))
        for pair in zip(stroke[:-1], stroke[1:])
    }
    moves = [np.abs(np.subtract(*map(np.array, edge))) for edge in edges]
    assert len(edges) == 12
    assert all((move > 0).sum() == 1 for move in moves)


def test_slider_hides_low_scores_from_the_threshold_on():
    figure = build_figure(SCENE, score_thr=0.4)
    assert figure.layout.scene.domain.y[0] > 0, 'room for the slider'
    steps = figure.layout.sliders[0].steps
    names = {step.label: step.args[0]['name'][0] for step in steps}
    assert names['0.40'] == 'predicted (2)'
    assert names['0.45'] == names['0.85'] == 'predicted (1)'
    figure = build_figure(SCENE, score_thr=0.95)
    assert figure.data[2].name == 'predicted (0)'
    assert not figure.layout.sliders
    assert figure.layout.scene.domain.y is None, 'the whole page'


def test_pictures_do_not_import_mmdet3d_or_a_display():
    code = ('import sys, sam3d_plugin.visualization.render, '
            'sam3d_plugin.visualization.html; '
            'assert not {"mmdet3d", "open3d", "matplotlib.pyplot"} '
            '& set(sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True)
