"""Classes of points as picture and page."""
import cv2
import numpy as np
import pytest

from sam3d_plugin.visualization import segments
from sam3d_plugin.visualization.points import soften

NAMES = ('wall', 'chair', 'sofa')
PALETTE = ((250, 20, 20), (20, 250, 20), (20, 20, 250))


def make_room(num_points=3000):
    points = np.random.default_rng(0).uniform((0, 0, 0), (4, 3, 1),
                                              (num_points, 3))
    return points, (points[:, 0] > 2).astype(int)


def make_scene(num_points=3000, classes=NAMES):
    points, labels = make_room(num_points)
    return segments.LabelledScene('room', points, labels, classes, PALETTE)


def test_counts_are_by_frequency_and_leave_out_absent_classes():
    assert segments.count_labels(np.array([1, 0, 1]), NAMES) == {
        'chair': 2,
        'wall': 1
    }
    assert list(segments.count_labels(np.array([1, 0, 1]),
                                      NAMES)) == ['chair', 'wall']


def test_picture_shows_classes_where_they_are(tmp_path):
    segments.render_labels(tmp_path / 'a.png', make_scene())
    picture = cv2.imread(str(tmp_path / 'a.png'))[..., ::-1].astype(int)
    red, green, blue = ((np.abs(picture -
                                soften(np.array([color]))).sum(axis=2) < 30)
                        for color in PALETTE)
    from_above = picture.shape[1] // 2
    columns = [np.nonzero(mask[:, :from_above])[1] for mask in (red, green)]
    assert len(columns[0]) > 500 and len(columns[1]) > 500
    assert columns[0].mean() < columns[1].mean()
    assert not blue.any()


def test_legend_names_the_classes_that_occur(tmp_path):
    """Equal pictures, but for the legend."""
    for file, names in (('a.png', NAMES), ('b.png', ('wall', 'desk', 'x'))):
        segments.render_labels(tmp_path / file, make_scene(500, names))
    a, b = (cv2.imread(str(tmp_path / f'{name}.png')) for name in 'ab')
    rows = np.nonzero((a != b).any(axis=(1, 2)))[0]
    assert len(rows) and rows.min() > 0.9 * len(a)


def test_page_switches_classes():
    scene = make_scene()
    labels = scene.labels
    figure = segments.build_label_figure(scene)
    shares = [f'{(labels == i).mean():.1%}' for i in (0, 1)]
    assert {trace.name
            for trace in figure.data
            } == {f'wall ({shares[0]})', f'chair ({shares[1]})'}
    assert {len(trace.x)
            for trace in figure.data} == {(labels == 0).sum(),
                                          (labels == 1).sum()}
    assert figure.data[0].marker.color in ('#fa1414', '#14fa14')


def test_labels_of_other_points_are_refused():
    with pytest.raises(ValueError, match='3000 points came with labels'):
        segments.LabelledScene('room',
                               make_room()[0], np.zeros(5, int), NAMES,
                               PALETTE)
