"""The page of a report: offline, whole, escaped, readable by its script."""
import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from jinja2 import UndefinedError

from sam3d_plugin.visualization.report_page import (Section, loss_chart,
                                                    point_viewer, write_report)
from sam3d_plugin.visualization.scene import ViewOptions

XYZ = np.random.default_rng(0).uniform(size=(20, 3)) * (4, 3, 2)
WHITE, BLACK = (np.full((20, 3), value, np.uint8) for value in (255, 0))


def regions(name='a, 1'):
    image = np.zeros((4, 5, 3), np.uint8)
    return Section(
        'Regions',
        dict(
            rows=[('<a>', '<b>')], frames=[(name, {
                '"<c>': image
            })], purity=[]))


def tokens(**choices):
    viewer = point_viewer('p7', XYZ, choices, ViewOptions(), 1)
    return Section('Tokens', dict(frames=[('b, 2', viewer)]))


def losses(**lines):
    return Section('Losses',
                   dict(runs=[('<d>', loss_chart('l', lines), [('e', 'f')])]))


def write(tmp_path, *sections):
    path = tmp_path / 'page.html'
    size = write_report(path, 'A <title>', sections)
    assert size == path.stat().st_size
    # What plotly's own script says of addresses is not asked for.
    return re.sub(
        r'<script>.*?</script>', '', path.read_text(), count=1, flags=re.S)


def test_sections_stand_in_order_with_a_list_of_contents(tmp_path):
    page = write(tmp_path, regions(), tokens(x=WHITE))
    assert re.findall(r'href="(.*?)">(.*?)</a>',
                      page) == [('#section0', 'Tokens and objects'),
                                ('#section1', 'Tokens on the points')]
    first, second = page.split('<section id="section')[1:]
    assert first.startswith('0"') and 'a, 1' in first
    assert second.startswith('1"') and 'b, 2' in second
    assert '<title>A &lt;title&gt;</title>' in page


def test_page_asks_for_nothing_from_outside(tmp_path):
    page = write(tmp_path, regions(), tokens(x=WHITE),
                 losses(loss=([1, 2], [3., 4.])))
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert not re.findall(r'@import|url\(|fetch\(|XMLHttpRequest', page)
    assert 'name="viewport"' in page


def test_every_choice_of_a_viewer_has_its_colors():
    html = tokens(**{'a</script>': WHITE, 'b': BLACK}).body
    text = re.search(r'application/json">(.*?)</script>', html, re.S)[1]
    colors = {'a</script>': 'ff' * 60, 'b': '00' * 60}
    assert json.loads(text) == dict(name='p7', colors=colors)
    assert list(json.loads(text)['colors']) == list(colors)
    assert 'id="p7"' in html


@pytest.mark.parametrize('azimuth', [0., 90.])
def test_viewer_looks_at_the_middle_of_the_points(azimuth, monkeypatch):
    figures = []
    update = go.Figure.update_layout
    monkeypatch.setattr(
        go.Figure, 'update_layout',
        lambda self, *a, **k: figures.append(self) or update(self, *a, **k))
    skewed = np.vstack([XYZ, [[40, 0, 0]]])
    point_viewer('p', skewed, {'a': np.zeros((21, 3), np.uint8)},
                 ViewOptions(azimuth=azimuth, elevation=0), 1)
    camera = figures[-1].layout.scene.camera
    sides = np.ptp(skewed, axis=0)
    center = np.array([camera.center[k] for k in 'xyz'])
    middle = (skewed.min(axis=0) + skewed.max(axis=0)) / 2
    np.testing.assert_allclose(center * sides.prod()**(1 / 3) + middle,
                               skewed.mean(axis=0))
    eye = np.array([camera.eye[k] for k in 'xyz']) - center
    expected = [np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth)), 0]
    np.testing.assert_allclose(eye / np.linalg.norm(eye), expected, atol=1e-9)


def test_viewer_refuses_colors_of_other_points():
    for choices in (dict(a=WHITE, b=BLACK[:-1]), {}):
        with pytest.raises(ValueError, match='20 points came with colors'):
            tokens(**choices)


def test_chart_has_a_legend_only_for_several_lines():
    one = loss_chart('l', {'loss': ([1, 2], [3., 4.])})
    two = loss_chart('l', {'loss': ([1, 2], [3., 4.]), 'other': ([1], [2.])})
    assert '"showlegend":false' in one and '"showlegend":true' in two


def test_text_is_escaped():
    html = regions('<e>').body + losses(loss=([1], [2.])).body
    assert not re.search(r'<[b-e]>', html) and html.count('&lt;') >= 4
    with pytest.raises(UndefinedError):
        str(Section('Regions', dict(frames=[])).body)
