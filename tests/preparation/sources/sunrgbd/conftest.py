"""SUN RGB-D of a few pixels, written in both of its raw forms."""
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

SHAPE = (24, 32)
INTRINSICS = np.array([[26.5, 0, 16.2], [0, 26.0, 12.4], [0, 0, 1]])
PREFIX = '/n/fs/sun3d/data/'


def rotation(x, z):
    cx, sx, cz, sz = np.cos(x), np.sin(x), np.cos(z), np.sin(z)
    return (np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, cx, -sx], [0, sx, cx]]))


def make_scan(number):
    rng = np.random.default_rng(number)
    depth = rng.integers(900, 6000, SHAPE).astype(np.uint16)
    depth[rng.random(SHAPE) < 0.1] = 0
    color = io.BytesIO()
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(SHAPE[::-1], Image.BILINEAR)
    image.save(color, 'JPEG', quality=95)
    boxes = [
        dict(
            name=name,
            rectangle=[3 + i, 4.5, 10, 8.25],
            center=[0.5 * i, 3.0, -0.4],
            coeffs=[0.4, -0.9, 0.3],
            direction=[np.cos(0.3 + i), np.sin(0.3 + i)])
        for i, name in enumerate(['bed', 'lamp', 'night_stand'][:number])
    ]
    return SimpleNamespace(
        name=f'{number:06d}',
        depth=depth,
        color=color.getvalue(),
        tilt=rotation(0.1 * number, 0.0),
        boxes=boxes,
        old_boxes=boxes[:1])


def structs(rows):
    """A MATLAB struct array of one row; [] where there is none."""
    if not rows:
        return np.zeros((0, 0))
    result = np.empty((1, len(rows)), dtype=[(k, object) for k in rows[0]])
    for i, row in enumerate(rows):
        for key, value in row.items():
            result[0, i][key] = value
    return result


def box_structs(boxes, old):
    rows = []
    for box in boxes:
        row = dict(
            basis=np.eye(3),
            coeffs=np.array([box['coeffs']]),
            centroid=np.array([box['center']]),
            classname=box['name'],
            orientation=np.array([[*box['direction'], 0]]))
        if old:
            row['gtBb2D'] = np.array([box['rectangle']])
        rows.append(row)
    return structs(rows)


def rectangle_structs(boxes):
    return structs([
        dict(
            objid=i + 1,
            gtBb2D=np.array([box['rectangle']]),
            classname=box['name']) for i, box in enumerate(boxes)
    ])


def write_official(root, scans, val, with_v1=True):
    """The release's folders and annotation files."""
    metas, rectangles, old = [], [], []
    folders = {'alltrain': [], 'alltest': []}
    for scan in scans:
        # Paths of some sensors have a slash too many.
        slash = '/' if scan.name == '000002' else ''
        folder = f'SUNRGBD/kv1/NYUdata/NYU{scan.name}'
        files = dict(
            depthpath=f'{folder}{slash}/depth_bfx/{scan.name}.png',
            rgbpath=f'{folder}{slash}/image/{scan.name}.jpg')
        for path in files.values():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / files['rgbpath']).write_bytes(scan.color)
        turned = (scan.depth << 3) | (scan.depth >> 13)
        Image.fromarray(turned).save(root / files['depthpath'])
        metas.append(
            dict(
                sequenceName=folder,
                Rtilt=scan.tilt,
                K=INTRINSICS,
                **{
                    k: PREFIX + v
                    for k, v in files.items()
                },
                groundtruth3DBB=box_structs(scan.boxes, old=False)))
        rectangles.append(
            dict(
                sequenceName=folder,
                groundtruth2DBB=rectangle_structs(scan.boxes)))
        old.append(
            dict(
                sequenceName=folder,
                groundtruth3DBB=box_structs(scan.old_boxes, old=True)))
        split = 'alltest' if scan.name in val else 'alltrain'
        folders[split].append(PREFIX + folder + slash)
    toolbox = root / 'SUNRGBDtoolbox'
    (toolbox / 'Metadata').mkdir(parents=True)
    (toolbox / 'traintestSUNRGBD').mkdir()
    savemat(root / 'SUNRGBDMeta3DBB_v2.mat', dict(SUNRGBDMeta=structs(metas)))
    savemat(root / 'SUNRGBDMeta2DBB_v2.mat',
            dict(SUNRGBDMeta2DBB=structs(rectangles)))
    if with_v1:
        savemat(toolbox / 'Metadata/SUNRGBDMeta.mat',
                dict(SUNRGBDMeta=structs(old)))
    cells = {}
    for name, paths in folders.items():
        cells[name] = np.empty((1, len(paths)), dtype=object)
        cells[name][0] = paths
    savemat(toolbox / 'traintestSUNRGBD/allsplit.mat', cells)


def matlab_points(scan):
    """read3dPoints.m pixel by pixel, column by column, counted from 1."""
    color = np.asarray(Image.open(io.BytesIO(scan.color)))
    k, points = INTRINSICS, []
    for column in range(1, SHAPE[1] + 1):
        for row in range(1, SHAPE[0] + 1):
            z = scan.depth[row - 1, column - 1] / 1000
            if z:
                x = (column - k[0, 2]) * z / k[0, 0]
                y = (row - k[1, 2]) * z / k[1, 1]
                xyz = scan.tilt @ [x, z, -y]
                points.append([*xyz, *color[row - 1, column - 1] / 255])
    return np.array(points, dtype=np.float32)


def label_lines(boxes):
    lines = []
    for box in boxes:
        numbers = [*box['center'], *np.abs(box['coeffs']), *box['direction']]
        lines.append(' '.join([
            box['name'], *(f'{x:.6e}' if x % 1 else f'{x:d}'
                           for x in box['rectangle']), *(f'{x:f}'
                                                         for x in numbers)
        ]) + '\n')
    return ''.join(lines)


def write_trainval(root, scans, val):
    """What extract_rgbd_data_v2.m and its like write."""
    for folder in ('depth', 'image', 'calib', 'label', 'label_v1'):
        (root / folder).mkdir(parents=True)
    for scan in scans:
        savemat(root / f'depth/{scan.name}.mat',
                dict(instance=matlab_points(scan)))
        (root / f'image/{scan.name}.jpg').write_bytes(scan.color)
        (root / f'calib/{scan.name}.txt').write_text('\n'.join(
            ' '.join(f'{x:.5g}' for x in matrix.T.ravel())
            for matrix in (scan.tilt, INTRINSICS)) + '\n')
        for folder, boxes in (('label', scan.boxes), ('label_v1',
                                                      scan.old_boxes)):
            (root / folder / f'{scan.name}.txt').write_text(label_lines(boxes))
    for split in ('train', 'val'):
        (root / f'{split}_data_idx.txt').write_text(''.join(
            f'{int(scan.name)}\n' for scan in scans
            if (scan.name in val) == (split == 'val')))


@pytest.fixture
def scans():
    return [make_scan(number) for number in (1, 2, 3)]


@pytest.fixture
def write(tmp_path, scans):
    """Writes the scans in one of the forms and returns the folder."""

    def write(form, val=('000001', ), **kwargs):
        root = Path(tmp_path) / form
        dict(
            official=write_official,
            trainval=write_trainval)[form](root, scans, val, **kwargs)
        return root

    return write
