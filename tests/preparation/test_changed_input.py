"""What later steps do when their input is remade, half there or bad."""
import io
import shutil

import numpy as np
import pytest
from rich.console import Console

from sam3d_plugin.preparation.checking.verification import Verifier
from sam3d_plugin.preparation.features.encoders import build_encoder
from sam3d_plugin.preparation.features.region_features_step import \
    RegionFeatureStep
from sam3d_plugin.preparation.features.region_groups import (GroupOptions,
                                                             build_groups)
from sam3d_plugin.preparation.lifting.frame_regions_step import \
    FrameRegionsStep
from sam3d_plugin.preparation.lifting.scan_regions_step import ScanRegionsStep
from sam3d_plugin.preparation.regions.generators import build_generator
from sam3d_plugin.preparation.regions.region_maps_step import RegionMapStep
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.manifest import (ItemRecord, ScanRecord, Store,
                                         file_checksum)
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from sam3d_plugin.store.region_features import RegionFeatures
from sam3d_plugin.store.region_maps import encode_region_map

SIZE = 24, 32
INTRINSICS = np.array([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]])


def halves(turned):
    """Two regions of equal size, side by side or one above the other."""
    ids = np.ones(SIZE, np.uint16)
    if turned:
        ids[12:] = 2
    else:
        ids[:, 16:] = 2
    return ids


@pytest.fixture
def data(tmp_path):
    images = PosedImages(tmp_path / 'posed_images')
    images.write_cameras('a', Cameras(INTRINSICS, INTRINSICS, np.eye(4), True))
    noise = np.random.default_rng(0)
    for i in range(3):
        color = noise.integers(0, 255, (*SIZE, 3), np.uint8)
        depth = np.full(SIZE, 2000, np.uint16)
        for ending, content in frame_files(
                encode_color(color), depth, np.eye(4)).items():
            (tmp_path / f'posed_images/a/{i:05d}{ending}').write_bytes(content)
        write_labels(tmp_path, i, False)
    rows, columns = np.indices(SIZE)
    points = np.zeros((rows.size, 6), '<f4')
    points[:, 0] = (columns.ravel() - 16) * 2 / 30
    points[:, 1] = (rows.ravel() - 12) * 2 / 30
    points[:, 2] = 2
    (tmp_path / 'points').mkdir()
    points.tofile(tmp_path / 'points/a.bin')
    make(tmp_path, maps_step(tmp_path), 'region_maps')
    return tmp_path


def write_labels(data, i, turned):
    path = data / f'labels/a/{i:05d}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_region_map(halves(turned)))


def make(data, step, folder):
    console = Console(file=io.StringIO())
    return run_step(step, data / folder, RunOptions(workers=0), console)


def maps_step(data):
    return RegionMapStep(
        data / 'posed_images',
        build_generator('precomputed',
                        dict(path=str(data / 'labels'), form='labels')))


def later_steps(data):
    encoder = build_encoder('handcrafted', dict(long_side=32))
    return dict(
        region_features=RegionFeatureStep(data / 'posed_images',
                                          data / 'region_maps', encoder),
        frame_regions=FrameRegionsStep(data),
        regions=ScanRegionsStep(data))


def remake_map(data, i=1):
    """Other regions in one frame, as many as before."""
    write_labels(data, i, True)
    assert make(data, maps_step(data), 'region_maps').made == 1


def problems(data):
    return [str(p) for report in Verifier(data).run() for p in report.problems]


def test_what_was_made_of_another_id_map_is_made_again(data):
    for folder, step in later_steps(data).items():
        make(data, step, folder)
    assert not problems(data)
    old = RegionFeatures(data / 'region_features')
    before = {f: old.read('a', f).mean for f in old.frames('a')}
    remake_map(data)
    found = '\n'.join(problems(data))
    for path in ('region_features/a.safetensors', 'frame_regions/a/00001.npz'):
        assert f'{path}: the id map of 00001 changed' in found
    assert 'regions/a.npz: the id maps of a changed' in found
    assert '00000' not in found and '00002' not in found
    made = {
        folder: make(data, step, folder).made
        for folder, step in later_steps(data).items()
    }
    assert made == dict(region_features=1, frame_regions=1, regions=1)
    assert not problems(data)
    features = RegionFeatures(data / 'region_features')
    for frame in ('00000', '00002'):
        np.testing.assert_array_equal(
            features.read('a', frame).mean, before[frame])
    assert (features.read('a', '00001').mean != before['00001']).any()
    again = later_steps(data)
    assert {
        f: make(data, s, f).made
        for f, s in again.items()
    } == dict(
        region_features=0, frame_regions=0, regions=0)


def test_regions_of_another_frame_are_made_again(data):
    store = Store(data / 'posed_images')
    store.open('posed_images', {})

    def record_frames():
        items = {
            name:
            ItemRecord(
                'ok', '', {
                    f'a/{name}{end}': file_checksum(
                        store.read(f'a/{name}{end}'))
                    for end in ('.jpg', '.png', '.txt')
                })
            for name in ('00000', '00001', '00002')
        }
        store.write_record(ScanRecord('a', items))
        store.merge()

    record_frames()
    assert make(data, maps_step(data), 'maps').made == 3
    shutil.copy(data / 'posed_images/a/00000.jpg',
                data / 'posed_images/a/00002.jpg')
    record_frames()
    found = make(data, maps_step(data), 'maps')
    assert (found.made, found.kept) == (1, 2)
    assert make(data, maps_step(data), 'maps').kept == 3


def test_frame_that_was_left_out_is_lifted_once_it_is_whole(data):
    path = data / 'region_maps/a/00001.png'
    content = path.read_bytes()
    path.write_bytes(content[:40])
    report = make(data, later_steps(data)['regions'], 'regions')
    assert report.made == 1 and list(report.skipped_frames) == ['a/00001']
    path.write_bytes(content)
    report = make(data, later_steps(data)['regions'], 'regions')
    assert report.made == 1 and not report.skipped_frames
    assert make(data, later_steps(data)['regions'], 'regions').kept == 1


def test_groups_of_other_features_are_refused(data):
    step = later_steps(data)['region_features']
    make(data, step, 'region_features')
    folders = data / 'region_features', data / 'region_groups/train'
    options = GroupOptions(groups=2, epochs=1)
    build_groups(*folders, options=options)
    remake_map(data)
    make(data, later_steps(data)['region_features'], 'region_features')
    with pytest.raises(StoreError, match='features.content'):
        build_groups(*folders, options=options)


def test_groups_of_the_training_set_pass_verification(data):
    for folder in ('posed_images', 'labels'):
        shutil.copytree(data / folder / 'a', data / folder / 'b')
    make(data, maps_step(data), 'region_maps')
    make(data, later_steps(data)['region_features'], 'region_features')
    train, val = (data / 'region_groups' / name for name in ('train', 'val'))
    options = GroupOptions(groups=2, epochs=1)
    build_groups(data / 'region_features', train, options=options)
    build_groups(
        data / 'region_features', val, ['b'], options, centroids_root=train)
    assert not problems(data)


def test_features_beside_others_are_compared_with_their_own_maps(data):
    other = RegionMapStep(data / 'posed_images',
                          build_generator('superpixel', {}))
    make(data, other, 'region_maps_2')
    step = later_steps(data)['region_features']
    step = RegionFeatureStep(data / 'posed_images', data / 'region_maps_2',
                             step.encoder)
    make(data, step, 'region_features_2')
    assert not problems(data)


def test_why_a_frame_has_no_id_map_is_told_downstream(data):
    (data / 'labels/a/00002.png').write_bytes(b'no image')
    (data / 'region_maps/a/00002.png').unlink()
    make(data, maps_step(data), 'region_maps')
    report = make(data,
                  later_steps(data)['region_features'], 'region_features')
    reason = report.skipped['a/00002']
    assert reason.startswith('a/00002 has no id map: a/00002.png is not a')
    scan = make(data, later_steps(data)['regions'], 'regions')
    assert scan.made == 1
    fields = Store(data / 'regions').record('a').items['a'].fields
    assert list(fields['left_out']) == ['00002']


def test_frames_and_scans_that_lack_a_file_are_named(data):
    images = data / 'posed_images'
    (images / 'a/00000.jpg').unlink()
    (images / 'b').mkdir()
    (images / 'b/00000.jpg').write_bytes((images / 'a/00001.jpg').read_bytes())
    report = make(data, maps_step(data), 'maps')
    assert set(report.skipped) == {'a/00000', 'b'}
    assert '00000.jpg is missing' in report.skipped['a/00000']
    assert 'intrinsic.txt is missing' in report.skipped['b']


@pytest.mark.parametrize('file, matrix, reason', [
    ('intrinsic.txt', np.zeros((4, 4)), 'focal length'),
    ('intrinsic_depth.txt', -np.eye(4), 'focal length'),
    ('depth_to_color.txt', 2 * np.eye(4), 'rotation'),
])
def test_cameras_that_cannot_be_are_refused(data, file, matrix, reason):
    np.savetxt(data / 'posed_images/a' / file, matrix)
    report = make(data, maps_step(data), 'maps')
    assert list(report.skipped) == ['a']
    assert reason in report.skipped['a'] and file in report.skipped['a']


def test_damaged_record_of_another_scan_is_one_sentence(data):
    (data / 'region_maps/records/old.json').write_text('{')
    with pytest.raises(StoreError, match='old.json is damaged'):
        make(data, maps_step(data), 'region_maps')


def test_store_without_header_is_refused(data):
    folder = data / 'region_maps'
    (folder / 'store.json').unlink()
    with pytest.raises(StoreError, match='store.json is missing'):
        make(data, maps_step(data), 'region_maps')
