"""A furnished room and ways to write it."""
import json

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

CHAIR, TABLE, FLOOR, WALL = 5, 7, 2, 1


def make_room():
    """Floor, two walls, a chair and a table; arrays by canonical name."""
    rng = np.random.default_rng(0)
    parts = [  # low corner, high corner, class, instance, points
        ((0, 0, 0), (4, 3, 0), FLOOR, 3, 1500),
        ((0, 0, 0), (0, 3, 2.5), WALL, 4, 300),
        ((0, 0, 0), (4, 0, 2.5), WALL, 5, 300),
        ((1, 1, 0), (1.5, 1.5, 1), CHAIR, 1, 300),
        ((2, 1.5, 0), (3.5, 2.5, .7), TABLE, 2, 500),
    ]
    xyz = np.concatenate([rng.uniform(a, b, (n, 3)) for a, b, *_, n in parts])
    column = {
        key: np.concatenate([np.full(p[-1], p[i]) for p in parts])
        for i, key in ((2, 'semantic'), (3, 'instance'))
    }
    return dict(
        xyz=xyz.astype(np.float32),
        rgb=rng.integers(0, 256, xyz.shape).astype(np.uint8),
        semantic=column['semantic'].astype(np.uint8),
        instance=column['instance'].astype(np.int32),
        region=rng.integers(0, 9, len(xyz)).astype(np.int32))


def true_boxes(room):
    """(2, 7) extents and NYU40 ids of the chair and the table."""
    rows = []
    for number, label in ((1, CHAIR), (2, TABLE)):
        xyz = room['xyz'][room['instance'] == number].astype(np.float64)
        low, high = xyz.min(0), xyz.max(0)
        rows.append([*(low + high) / 2, *(high - low), label])
    return np.array(rows)


def write_ply(path, room, text=False, byte_order='<'):
    """Write the arrays of a room as vertex properties."""
    columns = dict(zip('xyz', room['xyz'].T))
    if 'rgb' in room:
        columns.update(zip(('red', 'green', 'blue'), room['rgb'].T))
    columns.update({k: v for k, v in room.items() if v.ndim == 1})
    vertices = np.empty(
        len(room['xyz']), [(k, v.dtype.str) for k, v in columns.items()])
    for name, values in columns.items():
        vertices[name] = values
    PlyData([PlyElement.describe(vertices, 'vertex')], text,
            byte_order).write(str(path))


def write_json_boxes(path, rows):
    """Write (R, 7) boxes of chairs and tables as JSON."""
    names = {CHAIR: 'chair', TABLE: 'table'}
    boxes = [{
        'class': names[int(row[6])],
        'center': row[:3].tolist(),
        'size': row[3:6].tolist()
    } for row in rows]
    path.write_text(json.dumps({'boxes': boxes}))


class Rooms:
    """What tests need of this file, which they cannot import."""
    make = staticmethod(make_room)
    boxes = staticmethod(true_boxes)
    write_ply = staticmethod(write_ply)
    write_json_boxes = staticmethod(write_json_boxes)


@pytest.fixture
def rooms():
    """Functions that make and write rooms."""
    return Rooms


@pytest.fixture
def room():
    """Arrays of one room."""
    return make_room()
