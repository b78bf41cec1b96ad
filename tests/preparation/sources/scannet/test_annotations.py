"""Labels of ScanNet's objects on the vertices."""
import json

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scannet.annotations import (
    ObjectGroup, label_vertices, parse_groups, parse_label_map, parse_segments)
from sam3d_plugin.store.errors import FrameError, StoreError

LABEL_MAP = {'chair': 5, 'table': 7, 'wall': 1}


def slow_labels(segments, groups):
    """VoteNet's rules, vertex by vertex: labels, then objects, in order."""
    semantic, instance = [0] * len(segments), [0] * len(segments)
    for label in dict.fromkeys(group.label for group in groups):
        for group in groups:
            for i, segment in enumerate(segments):
                if group.label == label and segment in group.segments:
                    semantic[i] = LABEL_MAP.get(label, 0)
    for group in groups:
        for i, segment in enumerate(segments):
            if segment in group.segments:
                instance[i] = group.number
    classes = {
        group.number: semantic[list(segments).index(group.segments[0])]
        for group in groups
    }
    return semantic, instance, [classes.get(i, 0) for i in instance]


def test_equals_the_slow_rules_with_shared_segments():
    rng = np.random.default_rng(0)
    for _ in range(30):
        segments = rng.choice([90, 4, 17, 33, 58, 71], 60)
        segments[:6] = [90, 4, 17, 33, 58, 71]
        groups = [
            ObjectGroup(i + 1, str(rng.choice([*LABEL_MAP, 'ufo'])),
                        rng.permutation(segments[:6])[:rng.integers(1, 4)])
            for i in range(5)
        ]
        labels = label_vertices(segments, groups, LABEL_MAP, 'a')
        semantic, instance, classes = slow_labels(segments, groups)
        np.testing.assert_array_equal(labels.semantic, semantic)
        np.testing.assert_array_equal(labels.instance, instance)
        np.testing.assert_array_equal(labels.instance_class, classes)


def test_unknown_labels_are_counted_and_unlabelled():
    groups = [
        ObjectGroup(1, 'ufo', np.array([3])),
        ObjectGroup(2, 'chair', np.array([8])),
        ObjectGroup(3, 'robot', np.array([5]))
    ]
    labels = label_vertices(np.array([3, 8, 3, 5, 9]), groups, LABEL_MAP, 'a')
    assert labels.unknown == {'ufo': 2, 'robot': 1}
    assert labels.semantic.tolist() == [0, 5, 0, 0, 0]
    assert labels.instance.tolist() == [1, 2, 1, 3, 0]


def test_no_objects_leave_all_unlabelled():
    labels = label_vertices(np.array([3, 8]), [], LABEL_MAP, 'a')
    assert labels.semantic.tolist() == labels.instance.tolist() == [0, 0]
    assert labels.unknown == {}


def test_segments_of_another_mesh_are_refused():
    groups = [ObjectGroup(4, 'chair', np.array([3, 6]))]
    with pytest.raises(FrameError, match='a.json: object 3 has segment 6'):
        label_vertices(np.array([3, 8]), groups, LABEL_MAP, 'a.json')
    with pytest.raises(FrameError, match='has 2 segment ids, but .* 3 vert'):
        parse_segments(b'{"segIndices": [1, 2]}', 3, 'b.json')


@pytest.mark.parametrize('content', [
    b'{"segIndices": [1, 2',
    b'{}',
    b'[]',
    b'{"segIndices": 3}',
    b'{"segIndices": ["a", "b"]}',
    b'{"segIndices": [1.5, 2]}',
    b'{"segIndices": [1, []]}',
    b'{"segIndices": [1, 99999999999999999999999]}',
    b'\xff\xfe',
])
def test_damaged_segments_are_refused(content):
    with pytest.raises(FrameError, match='b.json.*copy it again'):
        parse_segments(content, 2, 'b.json')


def test_reasons_are_shorter_than_the_files_they_are_of():
    for parse in (parse_groups, parse_label_map,
                  lambda content, name: parse_segments(content, 2, name)):
        with pytest.raises((FrameError, StoreError)) as info:
            parse(b'\xff' * 100000, 'd')
        assert len(str(info.value)) < 500


@pytest.mark.parametrize('entry', [
    dict(objectId=0, label='chair'),
    dict(objectId='x', label='chair', segments=[1]),
    dict(objectId=0, label='chair', segments=['a']),
    dict(objectId=-1, label='chair', segments=[1]),
    dict(objectId=10**12, label='chair', segments=[1]),
    dict(objectId=float('inf'), label='chair', segments=[1]),
    dict(objectId=0, label='chair', segments=[10**23]),
    dict(objectId=0, label='chair', segments=3),
    [],
])
def test_damaged_groups_are_refused(entry):
    content = json.dumps(dict(segGroups=[entry])).encode()
    with pytest.raises(FrameError, match='c.json.*copy it again'):
        parse_groups(content, 'c.json')


@pytest.mark.parametrize('content', [
    b'raw_category\tid\nchair\t5\n',
    b'raw_category\tnyu40id\nchair\t41\n',
    b'',
])
def test_other_label_maps_are_refused(content):
    with pytest.raises(StoreError, match='labels.tsv.*combined.tsv'):
        parse_label_map(content, 'labels.tsv')


@pytest.mark.parametrize('content', [
    b'raw_category\tnyu40id\nchair\t5\nthing\t\n',
    b'\xef\xbb\xbfraw_category\tnyu40id\r\nchair\t5\r\nthing\t \r\n',
    b'raw_category\tnyu40id\nchair\t5\nthing\n',
])
def test_labels_without_an_id_are_unlabelled(content):
    assert parse_label_map(content, 'a') == dict(chair=5, thing=0)


def test_a_row_that_cannot_be_read_is_named():
    content = b'raw_category\tnyu40id\nchair\t5\nlamp\tx\n'
    with pytest.raises(StoreError, match="labels.tsv: row 3, 'lamp'.*'x'"):
        parse_label_map(content, 'labels.tsv')


def test_labels_in_another_encoding_are_read():
    content = 'raw_category\tnyu40id\ncafé\t7\n'.encode('latin-1')
    assert list(parse_label_map(content, 'a').values()) == [7]


@pytest.mark.parametrize('content', [
    b'raw_category \t nyu40id\nchair \t5\nthing\t\n',
    b'id\traw_category\tnyu40id\r1\tchair\t5\r2\tthing\t\r',
    'raw_category\tnyu40id\nchair\t5.0\nthing\t\n'.encode('utf-16'),
    b'raw_category\tnyu40id\n\nchair\t5\nthing\t\n\n',
])
def test_label_maps_as_editors_leave_them(content):
    found = parse_label_map(content, 'a')
    assert found['chair'] == 5 and found['thing'] == 0


@pytest.mark.parametrize('content, word', [
    (b'version https://git-lfs.github.com/spec/v1\n', 'git-lfs'),
    (b'<html></html>', 'web page'),
])
def test_label_maps_that_are_other_files(content, word):
    with pytest.raises(StoreError, match=f'labels.tsv.*{word}'):
        parse_label_map(content, 'labels.tsv')


def test_blanks_after_an_objects_label():
    group = dict(objectId=0, label='chair ', segments=[1])
    content = json.dumps(dict(segGroups=[group])).encode()
    assert parse_groups(content, 'a')[0].label == 'chair'


def test_segments_as_floats():
    content = b'{"segIndices": [1.0, 2.0]}'
    assert parse_segments(content, 2, 'a').tolist() == [1, 2]
    with pytest.raises(FrameError, match='integers'):
        parse_segments(b'{"segIndices": [1.5, 2.0]}', 2, 'a')
