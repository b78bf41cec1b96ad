"""The HTML page of a scan: offline, whole, and what its script reads."""
import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from sam3d_plugin.visualization.overlays import FramePanels
from sam3d_plugin.visualization.scan_page import (Histogram, PageContent,
                                                  PagePoints, area_histogram,
                                                  evenly, write_scan_page)

IDS = np.zeros((40, 60), np.uint16)
IDS[:, 20:] = 1
IDS[30:, 30:] = 300
IDS[:10] = np.arange(600).reshape(10, 60) % 299 + 1
COLOR = np.full((40, 60, 3), 90, np.uint8)
POINTS = PagePoints(
    np.random.default_rng(0).uniform(size=(50, 3)), np.zeros((50, 3),
                                                             np.uint8),
    np.arange(50), 'fifty points')


def read_data(path):
    """What the page's script reads."""
    text = re.search(r'id="data">(.*?)</script>', path.read_text(), re.S)[1]
    return json.loads(text)


def decode(uri):
    content = base64.b64decode(uri.split(',', 1)[1])
    return np.asarray(Image.open(io.BytesIO(content))).astype(int)


def test_ids_areas_and_groups_reach_the_page(tmp_path):
    groups = np.arange(300) % 7
    frame = FramePanels('00025', COLOR, IDS, np.ones((40, 60)), groups)
    path = tmp_path / 'scan.html'
    size = write_scan_page(path, PageContent('scan', frames=[frame]))
    assert size == path.stat().st_size
    data = read_data(path)['frames'][0]
    coded = decode(data['ids'])
    np.testing.assert_array_equal(coded[..., 0] + 256 * coded[..., 1], IDS)
    assert data['areas'] == np.bincount(IDS.reshape(-1))[1:].tolist()
    assert data['groups'] == groups.tolist() and data['regions'] == 300
    assert decode(data['depth']).shape == (40, 60, 3)


def test_images_are_made_smaller_and_areas_are_not(tmp_path):
    frame = FramePanels('a', COLOR, IDS)
    path = tmp_path / 'scan.html'
    write_scan_page(path, PageContent('scan', frames=[frame]), max_side=30)
    data = read_data(path)['frames'][0]
    assert decode(data['color']).shape == (20, 30, 3)
    assert decode(data['ids']).shape[:2] == (20, 30)
    assert sum(data['areas']) == (IDS > 0).sum()


def test_points_have_a_colour_for_every_choice(tmp_path):
    path = tmp_path / 'scan.html'
    write_scan_page(path, PageContent('scan', points=POINTS), max_points=30)
    page = path.read_text()
    text = re.search(r'"pick".*?json">(.*?)</script>', page, re.S)[1]
    colors = json.loads(text)['colors']
    assert list(colors) == ['photo', 'region', 'height']
    assert all(len(c) == 30 * 6 for c in colors.values())
    assert colors['photo'] == '0' * 180
    assert 'fifty points' in page and 'region %{customdata}' in page


def test_page_needs_no_network_and_names_are_escaped(tmp_path):
    path = tmp_path / 'scan.html'
    frame = FramePanels('</script><b>', COLOR, note='<i>')
    content = PageContent(
        'room <1>',
        frames=[frame],
        points=POINTS,
        tables={'Table <2>': [('a <b>', '</td>')]},
        histograms=[Histogram('areas', ['1', '2'], [3, 4])])
    write_scan_page(path, content)
    page = path.read_text()
    assert '<title>room &lt;1&gt;</title>' in page
    assert 'Table &lt;2&gt;' in page and '&lt;/td&gt;' in page
    assert read_data(path)['frames'][0]['name'] == '</script><b>'
    own = re.sub(r'<script>.*?</script>', '', page, count=1, flags=re.S)
    assert len(page) - len(own) > 3_000_000, 'plotly itself is missing'
    assert not re.search(r'<(script|link|img|iframe)[^>]*\b(src|href)\s*=',
                         own)
    assert 'http' not in re.sub(r'"plotlyServerURL":"[^"]*"', '', own)


def test_arrays_that_do_not_belong_together_are_refused(tmp_path):
    path = tmp_path / 'scan.html'
    for frame, message in ((FramePanels('f', COLOR[:3], IDS), 'f: an id map'),
                           (FramePanels('f', COLOR, IDS, None, IDS[0]),
                            'f: 60 group ids for 300 regions')):
        with pytest.raises(ValueError, match=message):
            write_scan_page(path, PageContent('scan', frames=[frame]))
    assert not path.exists()


def test_even_choice_keeps_both_ends():
    names = [f'{i:05d}' for i in range(100)]
    chosen = evenly(names, 5)
    assert chosen == ['00000', '00025', '00050', '00074', '00099']
    assert evenly(names, 100) == names and evenly([], 3) == []


def test_areas_are_counted_by_powers_of_two():
    chart = area_histogram(np.array([8, 15, 16, 64]), 'areas')
    assert list(chart.labels) == ['8', '16', '32', '64']
    assert list(chart.counts) == [2, 1, 0, 1]
    assert area_histogram(np.zeros(0), 'areas').counts == []
