"""ScanNet's raw files, written as the release has them."""
import io
import json
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from plyfile import PlyData, PlyElement

ALIGNMENT = ('0.8 0.6 0.0 -1.5 -0.6 0.8 0.0 0.25 0.0 0.0 1.0 -0.125 '
             '0.0 0.0 0.0 1.0')
LABELS = {
    'wall': 1,
    'floor': 2,
    'chair': 5,
    'office chair': 5,
    'table': 7,
    'lamp': 35,
}
COLOR_SIZE, DEPTH_SIZE = (24, 32), (12, 16)


def jpeg(seed, size=COLOR_SIZE):
    """A colour image as JPEG."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG', quality=80)
    return buffer.getvalue()


def pose(seed):
    """A rotation about z with a translation, as float32."""
    angle = 0.3 * seed
    matrix = np.eye(4, dtype=np.float32)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)],
                      [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = seed, 2, 0.1
    return matrix


def make_frames(count=6):
    """Frames with JPEG colour, uint16 depth and poses."""
    rng = np.random.default_rng(7)
    return [
        SimpleNamespace(
            pose=pose(i),
            times=(10 * i, 10 * i + 3),
            color=jpeg(i),
            depth=rng.integers(0, 9000, DEPTH_SIZE).astype('<u2'))
        for i in range(count)
    ]


def cameras():
    """Intrinsics and extrinsics of colour, then of depth."""
    color, depth = np.eye(4), np.eye(4)
    color[0, 0], color[1, 1], color[:2, 2] = 30, 31, (15.5, 11.25)
    depth[0, 0], depth[1, 1], depth[:2, 2] = 15, 15.5, (7.5, 5.5)
    return np.stack([color, np.eye(4), depth, np.eye(4)]).astype('<f4')


def write_sens(path, frames, **changes):
    """Write a recording in ScanNet's binary form, version 4."""
    form = dict(
        version=4,
        matrices=cameras(),
        color_type=2,
        depth_type=1,
        color_size=COLOR_SIZE,
        depth_size=DEPTH_SIZE,
        shift=1000.0,
        count=len(frames))
    form.update(changes)
    name = b'StructureSensor (calibrated)'
    parts = [struct.pack('<IQ', form['version'], len(name)), name]
    parts.append(form['matrices'].astype('<f4').tobytes())
    parts.append(struct.pack('<2i', form['color_type'], form['depth_type']))
    for height, width in (form['color_size'], form['depth_size']):
        parts.append(struct.pack('<2I', width, height))
    parts.append(struct.pack('<fQ', form['shift'], form['count']))
    for frame in frames:
        depth = frame.depth if isinstance(frame.depth,
                                          bytes) else (frame.depth.tobytes())
        if form['depth_type'] == 1 and not isinstance(frame.depth, bytes):
            depth = zlib.compress(depth)
        parts += [
            frame.pose.astype('<f4').tobytes(),
            struct.pack('<4Q', *frame.times, len(frame.color), len(depth)),
            frame.color, depth
        ]
    parts.append(struct.pack('<Q', 0))  # no IMU frames
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b''.join(parts))
    return path


def make_room(seed=0):
    """A mesh of boxes of vertices, its segments and its objects."""
    rng = np.random.default_rng(seed)
    parts = [  # low corner, high corner, label, vertices
        ((0, 0, 0), (4, 3, 0), 'floor', 40),
        ((0, 0, 0), (0, 3, 2.5), 'wall', 30),
        ((1, 1, 0), (1.5, 1.5, 1), 'chair', 20),
        ((3, 1, 0), (3.5, 1.5, 1), 'office chair', 20),
        ((2, 1.5, 0), (3.5, 2.5, .7), 'table', 25),
        ((1, 2, 0), (1.3, 2.2, 1), 'lamp', 10),
        ((0, 0, 2), (1, 1, 2.2), 'flux capacitor', 5),
        ((0, 0, 1), (4, 3, 2), None, 9),
    ]
    xyz = np.concatenate([rng.uniform(a, b, (n, 3)) for a, b, _, n in parts])
    segments, groups = [], []
    for index, (*_, label, n) in enumerate(parts):
        # Two segments for each part; their ids are neither sorted nor dense.
        ids = [1000 - 10 * index, 3 + 10 * index]
        segments += [ids[i % 2] for i in range(n)]
        if label is not None:
            groups.append(
                dict(
                    id=len(groups),
                    objectId=len(groups),
                    segments=ids,
                    label=label))
    order = rng.permutation(len(xyz))
    return SimpleNamespace(
        xyz=xyz[order].astype('<f4'),
        rgb=rng.integers(0, 256, xyz.shape).astype(np.uint8),
        segments=np.array(segments)[order].tolist(),
        groups=groups)


def write_mesh(path, xyz, rgb, text=False):
    """A mesh with triangles, as VoxelHashing writes it."""
    columns = [(c, '<f4')
               for c in 'xyz'] + [(c, 'u1')
                                  for c in ('red', 'green', 'blue', 'alpha')]
    vertices = np.zeros(len(xyz), dtype=columns)
    for name, values in zip('xyz', xyz.T):
        vertices[name] = values
    for name, values in zip(('red', 'green', 'blue'), rgb.T):
        vertices[name] = values
    faces = np.zeros(len(xyz), dtype=[('vertex_indices', '<i4', (3, ))])
    faces['vertex_indices'] = np.arange(3 * len(xyz)).reshape(-1, 3) % len(xyz)
    PlyData([
        PlyElement.describe(vertices, 'vertex'),
        PlyElement.describe(faces, 'face')
    ], text).write(str(path))


def write_scan(folder, room, is_test=False):
    """The files of one scan of the release."""
    folder.mkdir(parents=True)
    name = folder.name
    write_mesh(folder / f'{name}_vh_clean_2.ply', room.xyz, room.rgb)
    lines = ['colorHeight = 968', 'fx_color = 1170.187988']
    if not is_test:
        lines.insert(0, f'axisAlignment = {ALIGNMENT} ')
        (folder / f'{name}_vh_clean_2.0.010000.segs.json').write_text(
            json.dumps(dict(params={}, segIndices=room.segments)))
        (folder / f'{name}.aggregation.json').write_text(
            json.dumps(dict(sceneId=f'scannet.{name}', segGroups=room.groups)))
    (folder / f'{name}.txt').write_text('\n'.join(lines) + '\n')


SPLITS = {
    'train': ['scene0000_01', 'scene0000_00'],
    'val': ['scene0011_00'],
    'test': ['scene0707_00'],
}


def write_release(root):
    """A release of four scans with lists and label map."""
    for split, scans in SPLITS.items():
        folder = root / ('scans_test' if split == 'test' else 'scans')
        for i, scan in enumerate(scans):
            write_scan(folder / scan, make_room(len(split) + i),
                       split == 'test')
        (root / f'scannetv2_{split}.txt').write_text('\n'.join(scans) + '\n')
    rows = ['id\traw_category\tcategory\tcount\tnyu40id\teigen13id']
    rows += [f'1\t{k}\t{k}\t9\t{v}\t0' for k, v in LABELS.items()]
    (root / 'scannetv2-labels.combined.tsv').write_text('\n'.join(rows) + '\n')
    return root


@pytest.fixture
def raw():
    """What writes ScanNet's raw files."""
    return SimpleNamespace(
        ALIGNMENT=np.array([float(x)
                            for x in ALIGNMENT.split()]).reshape(4, 4),
        LABELS=LABELS,
        SPLITS=SPLITS,
        cameras=cameras,
        frames=make_frames,
        jpeg=jpeg,
        room=make_room,
        write_mesh=write_mesh,
        write_release=write_release,
        write_scan=write_scan,
        write_sens=write_sens)


@pytest.fixture
def release(tmp_path):
    """A release of four scans."""
    return write_release(tmp_path / 'raw')
