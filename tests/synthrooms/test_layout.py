from collections import Counter

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scans.scan import DETECTION_CLASSES
from sam3d_plugin.synthrooms import splits
from sam3d_plugin.synthrooms.build import layout_of
from sam3d_plugin.synthrooms.furniture import NYU40_IDS
from sam3d_plugin.synthrooms.layout import MAX_PIECES, has_collision

ON_WALLS = ('window', 'picture', 'mirror', 'whiteboard', 'curtain',
            'showercurtrain', 'cabinet')


@pytest.fixture(scope='module')
def train_layouts():
    return [layout_of(3, 'train', i)[1] for i in range(8)]


@pytest.fixture(scope='module')
def val_layouts():
    return [layout_of(3, 'val', i)[1] for i in range(4)]


def test_no_two_pieces_collide(train_layouts, val_layouts):
    for rooms in train_layouts + val_layouts:
        assert not has_collision([p for room in rooms for p in room.pieces])


def test_pieces_stay_between_the_walls(train_layouts, val_layouts):
    for room in (r for rooms in train_layouts + val_layouts for r in rooms):
        assert room.holds(room.pieces)


def test_nothing_floats(train_layouts):
    for room in (r for rooms in train_layouts for r in rooms):
        tops = [
            placed.z + part[1, 2] for placed in room.pieces
            for part in placed.piece.mesh.parts
        ]
        for placed in room.pieces:
            if placed.z > 0.01 and placed.piece.name not in ON_WALLS:
                assert np.abs(np.array(tops) - placed.z).min() < 0.011


def test_layouts_of_a_seed_are_equal_and_of_others_differ():
    first, again = layout_of(1, 'train', 5)[1], layout_of(1, 'train', 5)[1]
    other = layout_of(2, 'train', 5)[1]

    def places(rooms):
        return [(p.piece.name, p.x, p.y, p.yaw) for r in rooms
                for p in r.pieces]

    assert places(first) == places(again) != places(other)


def test_validation_scenes_of_the_presets_hold_each_class_three_times(
        val_layouts):
    counts = Counter(
        name for rooms in val_layouts
        for name in {p.piece.name
                     for room in rooms
                     for p in room.pieces})
    # Every preset has these four apartments.
    assert all(val >= 4 for _, val, _ in splits.PRESETS.values())
    assert all(splits.is_apartment('val', number) for number in range(4))
    for name in DETECTION_CLASSES:
        assert counts[name] >= splits.CLASS_OCCURRENCES, name


def test_frequent_classes_are_more_frequent_than_rare_ones(train_layouts):
    counts = Counter(p.piece.name for rooms in train_layouts for room in rooms
                     for p in room.pieces)
    assert counts['chair'] > 4 * counts['bathtub']
    assert set(counts) <= set(NYU40_IDS)
    assert all(
        sum(len(room.pieces) for room in rooms) <= MAX_PIECES
        for rooms in train_layouts)
