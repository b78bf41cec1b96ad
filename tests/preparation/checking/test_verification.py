"""Every kind of damage to prepared data is found and named."""
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.preparation.checking.verification import Verifier
from sam3d_plugin.preparation.checking.verification_books import (data_folder,
                                                                  find_stores)
from sam3d_plugin.store import encode_region_file
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.manifest import ItemRecord, ScanRecord, Store
from sam3d_plugin.store.posed_images import (PosedImages, encode_color,
                                             encode_matrix, frame_files)
from sam3d_plugin.store.region_features import pack_features, to_feature_arrays
from sam3d_plugin.store.region_groups import (GROUPS, GROUPS_FILE, Groups,
                                              encode_groups, pack_group_ids)
from sam3d_plugin.store.region_maps import RegionMaps, encode_region_map

SCANS, FRAMES = ('a', 'b'), ('00000', '00025')
IDS = np.repeat(np.array([0, 1, 2, 3], np.uint16), 6).reshape(4, 6).T
POINTS = np.random.default_rng(0).normal(size=(10, 6)).astype('<f4')


def write_store(root,
                kind,
                files_of,
                scan_files=lambda scan: {},
                inputs=lambda scan, frame: {},
                **settings):
    """Write a store of all scans.

    Args:
        root (Path): Its folder.
        kind (str): Its kind.
        files_of (Callable): Scan and frame to files, fields.
        scan_files (Callable): Scan to the scan's own files.
        inputs (Callable): Scan and frame to fingerprints of what it is of.
        settings (Any): Of the store.
    """
    store = Store(root)
    store.open(kind, dict(made_by='a test', **settings))
    for scan in SCANS:
        record = ScanRecord(scan, files=store.write(scan_files(scan)))
        for frame in FRAMES:
            files, fields = files_of(scan, frame)
            record.items[frame] = ItemRecord('ok', '', store.write(files),
                                             fields, inputs(scan, frame))
        store.write_record(record)
    store.merge()


def write_posed_images(root):

    def files_of(scan, frame):
        seed = SCANS.index(scan) * 2 + FRAMES.index(frame)
        color = np.random.default_rng(seed).integers(0, 256, IDS.shape + (3, ),
                                                     np.uint8)
        files = frame_files(
            encode_color(color), np.full(IDS.shape, 1500, np.uint16),
            np.eye(4))
        return {f'{scan}/{frame}{end}': c for end, c in files.items()}, {}

    write_store(
        root / 'posed_images', 'posed_images', files_of,
        lambda scan: {f'{scan}/intrinsic.txt': encode_matrix(np.eye(3))})


def write_region_maps(root, ids=IDS, regions=3):
    images = PosedImages(root / 'posed_images')
    write_store(
        root / 'region_maps',
        'region_maps',
        lambda scan, frame: ({
            f'{scan}/{frame}.png': encode_region_map(ids)
        }, dict(regions=regions)),
        inputs=lambda scan, frame: dict(frame=images.checksum(scan, frame)))


def write_region_features(root, rows=3, value=1.0):
    arrays = to_feature_arrays(
        np.ones((rows, 4)), np.ones((rows, 4)), np.full(rows, 6), 'x')
    arrays.mean[0, 0] = value
    content = pack_features({frame: arrays for frame in FRAMES})
    maps = RegionMaps(root / 'region_maps')
    write_store(
        root / 'region_features',
        'region_features',
        lambda *_: ({}, {}),
        lambda scan: {f'{scan}.safetensors': content},
        lambda scan, frame: dict(id_map=maps.checksum(scan, frame)),
        regions=dict(made_by='a test'))


def write_groups(root, ids=(0, 1, 1), counts=(4, 8)):
    store = Store(root / 'region_groups' / 'train')
    store.open('region_groups', {})
    content = pack_group_ids({frame: np.array(ids) for frame in FRAMES})
    for scan in SCANS:
        marks = store.write({f'{scan}.safetensors': content})
        store.write_record(
            ScanRecord(scan, {scan: ItemRecord('ok', files=marks)}))
    groups = Groups(
        np.zeros((2, 4), np.float32), np.array(counts), np.array([.6, .4]))
    marks = store.write({GROUPS_FILE: encode_groups(groups)})
    store.write_record(ScanRecord(GROUPS, files=marks))
    store.merge()


def write_points(root, masks=10):
    """A store of whole scans in the data set's own folder."""
    store = Store(root)
    store.open('scans', {})
    for scan in SCANS:
        files = {
            f'points/{scan}.bin': POINTS.tobytes(),
            f'instance_mask/{scan}.bin': np.zeros(masks, '<i8').tobytes(),
            f'infos/{scan}.json': b'{}'
        }
        store.write_record(
            ScanRecord(scan,
                       {scan: ItemRecord('ok', files=store.write(files))}))
    store.merge()


def write_scan_regions(root, xyz=POINTS[:, :3]):
    store = Store(root / 'regions')
    store.open('scan_regions', {})
    for scan in SCANS:
        content = encode_region_file(np.arange(len(xyz)), xyz, scan)
        marks = store.write({f'{scan}.npz': content})
        store.write_record(
            ScanRecord(scan, {scan: ItemRecord('ok', files=marks)}))
    store.merge()


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """A data set with every kind of store, not to be changed."""
    root = tmp_path_factory.mktemp('prepared') / 'data'
    for write in (write_posed_images, write_region_maps, write_points,
                  write_region_features, write_groups, write_scan_regions):
        write(root)
    return root


@pytest.fixture
def data(prepared, tmp_path):
    """A copy of it to damage."""
    shutil.copytree(prepared, tmp_path / 'data')
    return tmp_path / 'data'


def problems(data, **options):
    reports = Verifier(data, **options).run()
    return [str(problem) for report in reports for problem in report.problems]


def test_whole_data_has_no_problem_and_everything_is_counted(prepared):
    steps = []
    reports = Verifier(prepared, 2, None, lambda *s: steps.append(s)).run()
    assert [report.problems + report.notes for report in reports] == [[]] * 6
    found = {report.folder: report for report in reports}
    assert set(found) == {
        '', 'posed_images', 'region_maps', 'region_features',
        'region_groups/train', 'regions'
    }
    images = found['posed_images']
    assert (images.kind, images.scans, images.items) == ('posed_images', 2, 4)
    assert images.files == 14 and found['region_features'].files == 2
    assert images.size == sum(
        p.stat().st_size
        for p in Path(prepared, 'posed_images').glob('[ab]/*'))
    assert steps[-1][0] == steps[-1][1] > 0


@pytest.mark.parametrize('path', [
    'posed_images/a/00000.jpg', 'posed_images/b/00025.txt',
    'posed_images/a/intrinsic.txt', 'region_maps/b/00000.png',
    'region_features/a.safetensors', 'region_groups/train/groups.safetensors',
    'region_groups/train/b.safetensors', 'points/a.bin', 'infos/b.json',
    'instance_mask/b.bin', 'regions/a.npz'
])
@pytest.mark.parametrize('damage, what', [
    ('flip', 'its checksum is not that of the record; remove it'),
    ('truncate', 'bytes, the record says'),
    ('remove', 'it is missing; run '),
])
def test_damaged_files_are_named(data, path, damage, what):
    content = bytearray((data / path).read_bytes())
    if damage == 'flip':
        content[len(content) // 2] ^= 1
        (data / path).write_bytes(content)
    elif damage == 'truncate':
        (data / path).write_bytes(content[:-1])
    else:
        os.remove(data / path)
    found = problems(data)
    assert any(p.startswith(f'{path}: ') and what in p for p in found), found


@pytest.mark.parametrize('write, path, what', [
    (lambda root: write_region_maps(root, IDS, 5), 'region_maps/a/00000.png',
     'it has 3 regions, its record says 5'),
    (lambda root: write_region_maps(root, IDS * 2, 6),
     'region_maps/a/00000.png', 'ids are not contiguous, 1 of 1..6'),
    (lambda root: write_region_maps(root, IDS[:3]), 'region_maps/b/00025.png',
     '4x3'),
    (lambda root: write_region_features(root, 2),
     'region_features/a.safetensors',
     'frame 00000 has 2 rows, its id map 3 regions'),
    (lambda root: write_region_features(root, 3, np.nan),
     'region_features/b.safetensors',
     'a feature of frame 00025 is not finite'),
    (lambda root: write_groups(root, (0, 1, 2)),
     'region_groups/train/a.safetensors', 'a group that is none of 2'),
    (lambda root: write_groups(root, counts=(5, 7)),
     'region_groups/train/groups.safetensors',
     'group 0 counts 5 regions, the scans have 4'),
    (lambda root: write_points(root, 9), 'instance_mask/b.bin',
     'it is of 9 points, points/b.bin has 10'),
    (lambda root: write_scan_regions(root, POINTS[::-1, :3]), 'regions/a.npz',
     'belongs to other points'),
])
def test_content_that_breaks_a_rule_is_named(data, write, path, what):
    write(data)
    found = problems(data)
    assert any(p.startswith(path) and what in p for p in found), found


@pytest.mark.parametrize('name, content, what', [
    ('00000.txt', encode_matrix(np.diag([1, 1, 2, 1.0])), 'rotation'),
    ('00000.txt', encode_matrix(np.full((4, 4), np.nan)), 'not finite'),
    ('00000.jpg', b'no image', 'is not a readable image'),
    ('00000.png', frame_files(b'', np.zeros(
        (6, 4)), np.eye(4))['.png'], 'has no pixel with depth'),
    ('00000.png', frame_files(b'', np.ones(
        (3, 4)), np.eye(4))['.png'], 'of different sizes'),
    ('intrinsic.txt', b'1 2 3', '4x4'),
    ('import.json', b'{', 'Expecting'),
])
def test_unusable_images_are_named(data, name, content, what):
    store = Store(data / 'posed_images')
    record = store.record('a')
    files = record.files if name[0] == 'i' else record.items['00000'].files
    files.update(store.write({f'a/{name}': content}))
    store.write_record(record)
    store.merge()
    found = problems(data)
    assert any(
        p.startswith(f'posed_images/a/{name}') and what in p for p in found)


def test_half_copied_stores_are_named(data):
    os.remove(data / 'region_maps/store.json')
    os.remove(data / 'posed_images/records/b.json')
    shutil.rmtree(data / 'region_features/records')
    os.remove(data / 'region_groups/train/manifest.json')
    found = problems(data)
    for start in ('region_maps/store.json: it is missing',
                  'posed_images/records/b.json: it is missing',
                  'region_features/records/a.json: it is missing',
                  'region_groups/train/manifest.json is missing'):
        assert any(p.startswith(start) for p in found), start


def test_books_that_disagree_are_named(data):
    store = Store(data / 'region_maps')
    record = store.record('a')
    record.items['00000'].fields['regions'] = 3.0001
    record.items['00025'].files.update(record.items['00000'].files)
    record.items['00050'] = ItemRecord('skipped')
    store.write_record(record)
    (data / 'regions/records/b.json').write_text('{')
    manifest = json.loads((data / 'posed_images/manifest.json').read_text())
    del manifest['scans']['a']
    (data / 'posed_images/manifest.json').write_text(json.dumps(manifest))
    found = '\n'.join(problems(data))
    assert 'region_maps/manifest.json: scan a differs' in found
    assert 'a.json: it lists a/00000.png twice' in found
    assert '00050 was skipped without a reason' in found
    assert 'regions/records/b.json is damaged' in found
    assert 'posed_images/manifest.json: it lacks scan a' in found


def test_another_format_version_is_refused(data):
    path = data / 'region_maps/store.json'
    path.write_text(path.read_text().replace('"format_version": 1',
                                             '"format_version": 7'))
    assert any('format version 7' in p for p in problems(data))


def test_files_without_a_record_are_listed(data):
    for path in ('region_maps/a/00050.png', 'region_maps/c/00000.png',
                 'region_features/c.safetensors', 'points/c.bin',
                 'region_groups/train/extra.txt'):
        (data / path).parent.mkdir(exist_ok=True)
        (data / path).write_bytes(b'')
    (data / 'region_maps/a/.00000.png.x.tmp').write_bytes(b'')
    (data / 'scannet_infos_train.pkl').write_bytes(b'of mmdet3d')
    found = problems(data)
    assert len(found) == 5 and all('no record names it' in p for p in found)
    notes = [n for r in Verifier(data).run() for n in r.notes]
    assert any('1 temporary files of a killed run' in n for n in notes)


def test_what_is_not_prepared_yet_is_a_note(data):
    store = Store(data / 'posed_images')
    record = store.record('a')
    record.scan = 'c'
    record.files = {}
    record.items = {
        name:
        ItemRecord(
            'ok', '',
            store.write(
                {f'c/{name}.jpg': encode_color(np.zeros((2, 2, 3),
                                                        np.uint8))}))
        for name in FRAMES
    }
    store.write_record(record)
    store.merge()
    reports = Verifier(data).run()
    assert not any(report.problems for report in reports)
    notes = '\n'.join(note for report in reports for note in report.notes)
    assert 'region_maps: 1 scans or frames with images are not in it' in notes
    assert 'same color image' in notes


def test_one_store_can_be_checked_alone(data):
    os.remove(data / 'posed_images/a/00000.jpg')
    root = data_folder(data / 'region_groups/train')
    assert Path(root) == data and data_folder(data) == str(data)
    reports = Verifier(root).run(['region_groups/train'])
    assert [r.folder for r in reports] == ['region_groups/train']
    assert not reports[0].problems
    assert len(find_stores(data)) == 6


def test_a_folder_without_stores_is_refused(tmp_path):
    with pytest.raises(StoreError, match='has no store'):
        Verifier(tmp_path).run()
