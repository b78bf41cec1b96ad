"""The sections of a report on a pre-training."""
import re

import numpy as np
import pytest

from sam3d_plugin.visualization import pretraining_sections as sections
from sam3d_plugin.visualization.features import explained_share

IDS = np.repeat([[0, 1, 1, 2, 2, 2]], 4, axis=0)


def make_frame(name='room, frame 1', shift=0.):
    """Three tokens; their features lie on a line in one encoder."""
    rng = np.random.default_rng(0)
    points = np.full(IDS.shape, -1)
    points[:, 1:] = np.arange(20).reshape(4, 5)
    of_point = np.arange(20) % 3
    line = np.array([[0.], [1.], [2.]]) + shift
    return sections.FrameView(
        name=name,
        color=np.full((4, 6, 3), 100, np.uint8),
        depth_color=np.full((4, 6, 3), 100, np.uint8),
        region_ids=IDS,
        neighbor_groups=IDS,
        xyz=rng.uniform(size=(20, 3)),
        photo=np.full((20, 3), 50, np.uint8),
        pixel_points=points,
        tokens={
            'untrained': sections.FrameTokens(of_point, np.repeat(line, 8, 1)),
            'stage 1': sections.FrameTokens(of_point, rng.normal(size=(3, 8)))
        })


def probe(miou, frames=(64, 32)):
    classes = {
        name: dict(iou=miou, acc=.5, points=points)
        for name, points in (('chair', 10), ('wall', 90))
    }
    read = dict(miou=miou, macc=.25, classes=classes)
    # Borders of regions raise the score of own tokens.
    own = dict(read, miou=miou + .25)
    return dict(
        own=own, three_nn=read, frames=dict(zip(('train', 'val'), frames)))


def test_colours_compare_between_frames_of_an_encoder():
    frames = [make_frame(), make_frame(shift=2.)]
    colors = sections.feature_colors(frames)['untrained']
    assert [len(c) for c in colors] == [3, 3]
    # Token 2 of the first frame has the feature of token 0 of the second.
    assert (colors[0][2] == colors[1][0]).all()
    assert not (colors[0][0] == colors[1][0]).all()


def test_pixels_get_the_colour_of_their_token():
    frame = make_frame()
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    image = sections.paint_tokens(frame, frame.tokens['stage 1'], colors)
    assert (image[:, 0] == 225).all()
    np.testing.assert_array_equal(image[0, 1:4], colors)


def test_a_section_shows_every_frame_and_encoder():
    frames = [make_frame('a, 1'), make_frame('b, 2')]
    for section in (sections.tokens_section(frames),
                    sections.features_section(frames),
                    sections.regions_section(frames, {'frames': '96'})):
        assert section.body.count('<h3>') == 2
        assert 'a, 1' in section.body and 'b, 2' in section.body
    tokens = sections.tokens_section(frames).body
    assert tokens.count('features: stage 1') == 2
    assert '20 points in 3 tokens' in tokens
    regions = sections.regions_section(frames, {'frames': '96'}).body
    assert '2 regions on 83% of the pixels' in regions
    assert '<td>96</td>' in regions


def test_purity_is_a_table_and_a_claim():
    kinds = {
        key: dict(purity=share, covered=1.)
        for key, share in (('regions', .961), ('fps_knn_mean_size', .842),
                           ('fps_nearest_center', .871))
    }
    section = sections.regions_section([make_frame()], {}, kinds)
    assert section.claim.startswith('96.1% of') and '84.2%' in section.claim
    assert '<td>87.1%</td><td>100%</td>' in section.body
    assert not sections.regions_section([make_frame()], {}).claim


def test_the_claim_of_probes_is_first_and_last():
    before, after = probe(.125), probe(.5)
    claim = sections.probe_section(dict(untrained=before, trained=after)).claim
    assert '12.5 untrained' in claim and '50.0 after trained' in claim
    assert not sections.probe_section(dict(untrained=before)).claim


def test_share_of_variance_is_that_of_the_colours():
    assert explained_share(np.eye(4)[:, :3], 3) == pytest.approx(1)
    spread = np.concatenate([np.eye(4), -np.eye(4)])
    assert explained_share(spread, 3) == pytest.approx(.75)
    assert explained_share(np.ones((5, 4)), 3) == 1


def test_curves_name_first_and_last_loss():
    curves = sections.Curves([4, 8], dict(loss=[2., 1.5]), .5, .01)
    body = sections.curves_section({'stage 1': curves, 'stage 2': curves}).body
    assert body.count('4 … 8') == 2 and '2 … 1.5' in body
    assert '0.50 s, of which 0.01 s' in body
    assert 'id="losses0"' in body and 'id="losses1"' in body


def test_probe_table_is_in_per_cent_with_frequent_classes_first():
    section = sections.probe_section({
        'before': probe(.125),
        'after': probe(.5)
    })
    assert ('<tr><td>before</td><td>37.5</td><td>25.0</td><td>12.5</td>'
            '<td>25.0</td></tr>') in section.body
    assert section.body.index('>wall<') < section.body.index('>chair<')
    assert re.search(r'64\s+frames with labels', section.body)
    assert '32 frames of other' in section.body


def test_costs_leave_out_what_is_not_done():
    steps = [
        dict(
            title=f'step {i}',
            command=f'python {i}.py',
            seconds=50. * i,
            cpu_s=1.,
            peak_mb=100. * i,
            is_done=i < 3) for i in (1, 2, 3)
    ]
    body = sections.cost_section(dict(steps=steps, machine=dict(cores=2))).body
    assert 'step 3' not in body and '3.py' not in body
    assert re.search(
        r'all of it</td><td>2 min 30 s</td><td>2.0 s</td>'
        r'<td>200 MB', body)
    assert 'python 1.py\npython 2.py' in body and '<td>2</td>' in body


@pytest.mark.parametrize('seconds, text', [(0.04, '0.0 s'), (59.94, '59.9 s'),
                                           (60, '1 min 00 s'),
                                           (3599.6, '60 min 00 s')])
def test_duration(seconds, text):
    assert sections.duration(seconds) == text
