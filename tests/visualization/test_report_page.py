"""The page of a report: offline, whole, escaped, readable by its script."""
import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from sam3d_plugin.visualization.render import ViewOptions
from sam3d_plugin.visualization.report_page import (Section, cards, data_table,
                                                    line_chart, listing,
                                                    picture_row, point_viewer,
                                                    write_report)

XYZ = np.random.default_rng(0).uniform(size=(20, 3)) * (4, 3, 2)
WHITE, BLACK = (np.full((20, 3), value, np.uint8) for value in (255, 0))


def write(tmp_path, *sections):
    path = tmp_path / 'page.html'
    size = write_report(path, 'A <title>', 'Sub <title>', sections)
    assert size == path.stat().st_size
    # What plotly's own script says of addresses is not asked for.
    return re.sub(
        r'<script>.*?</script>', '', path.read_text(), count=1, flags=re.S)


def test_sections_stand_in_order_with_a_list_of_contents(tmp_path):
    page = write(tmp_path, Section('One', 'First.\n\nSecond <b>.', 'BODY'),
                 Section('Two', '', '', 'Short'))
    assert '<a href="#section0">One</a><a href="#section1">Short</a>' in page
    assert ('<section id="section0"><h2>One</h2><p>First.</p>'
            '<p>Second &lt;b&gt;.</p>BODY</section>') in page
    assert page.index('id="section0"') < page.index('id="section1"')
    assert '<title>A &lt;title&gt;</title>' in page
    assert '<p>Sub &lt;title&gt;</p>' in page


def test_page_asks_for_nothing_from_outside(tmp_path):
    body = (
        picture_row({'a': np.zeros((4, 5, 3), np.uint8)}) +
        point_viewer('p', XYZ, {'x': WHITE}, ViewOptions()) +
        line_chart('l', {'loss': ([1, 2], [3., 4.])}, 'step', 'loss'))
    page = write(tmp_path, Section('All', '', body))
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert not re.findall(r'@import|url\(|fetch\(|XMLHttpRequest', page)
    assert 'name="viewport"' in page


def test_every_choice_of_a_viewer_has_its_colours():
    html = point_viewer('p7', XYZ, {
        'a</script>': WHITE,
        'b': BLACK
    }, ViewOptions())
    text = re.search(r'class="colors">(.*?)</script>', html, re.S)[1]
    assert json.loads(text) == dict(
        figure='p7', colors={
            'a</script>': 'ff' * 60,
            'b': '00' * 60
        })
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
                 ViewOptions(azimuth=azimuth, elevation=0))
    camera = figures[-1].layout.scene.camera
    sides = np.ptp(skewed, axis=0)
    center = np.array([camera.center[k] for k in 'xyz'])
    middle = (skewed.min(axis=0) + skewed.max(axis=0)) / 2
    np.testing.assert_allclose(center * sides.prod()**(1 / 3) + middle,
                               skewed.mean(axis=0))
    eye = np.array([camera.eye[k] for k in 'xyz']) - center
    expected = [np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth)), 0]
    np.testing.assert_allclose(eye / np.linalg.norm(eye), expected, atol=1e-9)


def test_viewer_refuses_colours_of_other_points():
    with pytest.raises(ValueError, match='20 points came with colours'):
        point_viewer('p', XYZ, {'a': WHITE, 'b': BLACK[:-1]}, ViewOptions())
    with pytest.raises(ValueError, match='20 points came with colours'):
        point_viewer('p', XYZ, {}, ViewOptions())


def test_chart_has_a_legend_only_for_several_lines():
    one = line_chart('l', {'loss': ([1, 2], [3., 4.])}, 'step', 'loss')
    two = line_chart('l', {
        'loss': ([1, 2], [3., 4.]),
        'other': ([1], [2.])
    }, 'step', 'loss')
    assert '"showlegend":false' in one and '"showlegend":true' in two


def test_text_is_escaped():
    for html in (data_table(['<a>'],
                            [['<b>']]), listing(['<c>']), cards({'<d>': ''}),
                 picture_row({'"<e>': np.zeros((2, 2, 3), np.uint8)})):
        assert not re.search(r'<[a-e]>', html) and '&lt;' in html
