"""Tests of stores that do not belong together."""
import json
import shutil

import numpy as np
import pytest

from sam3d_plugin.datasets.frame_index import describe_skipped, index_frames
from sam3d_plugin.datasets.preflight import check_frame_loader
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import Cameras, PosedImages, encode_depth
from sam3d_plugin.store.records import ItemRecord, ScanRecord
from tests.datasets import frame_store

TWO_CAMERAS = Cameras(frame_store.INTRINSICS, frame_store.INTRINSICS,
                      np.eye(4), False)


@pytest.fixture
def root(tmp_path):
    return frame_store.write_data_set(tmp_path)


def folders(root, *kinds):
    stores = dict(
        posed_images='posed_images',
        region_maps='region_maps',
        region_features='region_features',
        region_groups='region_groups/train')
    return [(kind, str(root / folder)) for kind, folder in stores.items()
            if not kinds or kind in kinds]


def refused(root, *parts, **options):
    with pytest.raises(StoreError, match='.*'.join(parts)) as info:
        index_frames(folders(root), **options)
    assert '\n' not in str(info.value)


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_good_stores_pass(root):
    index = index_frames(folders(root), backend_args=None)
    assert index.frames == {
        s: list(frame_store.FRAMES)
        for s in frame_store.SCANS
    }
    assert index.skipped == {}
    assert index.group_counts == [1, 2, 3, 4]


def test_frames_alone_need_no_id_maps(root):
    for folder in ('region_maps', 'region_features', 'region_groups'):
        shutil.rmtree(root / folder)
    (root / 'posed_images' / 'beta' / '00001.png').unlink()
    images = folders(root, 'posed_images')
    index = index_frames(images)
    assert index.frames == dict(
        alpha=list(frame_store.FRAMES), beta=['00000', '00002'])
    assert index.group_counts is None
    index = index_frames(images, scans=['beta', 'gamma'])
    assert list(index.frames) == ['beta']
    assert 'no depth images' in index.skipped['gamma']
    with pytest.raises(StoreError, match='no frame of 1 scan.*posed_images'):
        index_frames(images, scans=['gamma'])


def test_depth_and_color_of_two_sizes_need_two_cameras(root):
    """As mmdet3d extracts them from ScanNet: one intrinsic.txt, of the color
    images, which would be taken for the depth camera's."""
    images = folders(root, 'posed_images')
    small = np.full((24, 32), 2000, np.uint16)
    for frame in frame_store.FRAMES:
        path = root / 'posed_images' / 'beta' / f'{frame}.png'
        path.write_bytes(encode_depth(small))
    index = index_frames(images)
    assert index.frames == dict(alpha=list(frame_store.FRAMES))
    assert 'depth is 32x24, color 64x48' in index.skipped['beta']
    frame_store.write_frames(root, TWO_CAMERAS)
    (root / 'posed_images' / 'beta' / '00000.png').write_bytes(
        encode_depth(small))
    assert set(index_frames(images).frames) == {'alpha', 'beta'}


def test_what_has_no_id_map_is_named(root):
    """Frames and scans that came after the id maps."""
    images = root / 'posed_images'
    shutil.copytree(images / 'alpha', images / 'gamma')
    for ending in ('jpg', 'png', 'txt'):
        shutil.copy(images / f'beta/00000.{ending}',
                    images / f'beta/00007.{ending}')
    index = index_frames(folders(root))
    assert set(index.frames) == {'alpha', 'beta'}
    assert set(index.skipped) == {'gamma', 'beta/00007'}
    assert all('no id map' in r for r in index.skipped.values())
    assert index_frames(folders(root), ['alpha']).skipped == {}


def test_groups_without_features(root):
    stores = folders(root, 'posed_images', 'region_maps', 'region_groups')
    shutil.rmtree(root / 'region_features')
    assert index_frames(stores).group_counts == [1, 2, 3, 4]


def test_features_of_two_encoders(root):
    shutil.copytree(root / 'region_features', root / 'other')
    path = root / 'other' / 'manifest.json'
    manifest = json.loads(path.read_text())
    manifest['scans']['alpha']['items'].pop('00000')
    path.write_text(json.dumps(manifest))
    stores = [*folders(root), ('region_features', str(root / 'other'))]
    index = index_frames(stores)
    assert index.frames['alpha'] == ['00001', '00002']


def test_frames_of_two_folders_are_refused(root):
    stores = [*folders(root), ('posed_images', str(root / 'other'))]
    with pytest.raises(StoreError, match='other; name one folder'):
        index_frames(stores)


@pytest.mark.parametrize('folder, tool', [
    ('region_maps', 'generate_regions.py'),
    ('region_features', 'extract_features.py'),
    ('region_groups/train', 'build_groups.py'),
])
def test_missing_store_another_version_or_kind(root, folder, tool):
    header = root / folder / 'store.json'
    edit(header, kind='scan_regions')
    refused(root, f'{folder} holds scan_regions')
    edit(header, format_version=99)
    refused(root, 'format version 99', 'prepare the data again')
    (root / folder / 'manifest.json').unlink()
    shutil.rmtree(root / folder)
    refused(root, f'{folder} is missing or no store', tool)


def test_manifest_of_a_run_that_has_not_ended(root):
    (root / 'region_features' / 'manifest.json').unlink()
    refused(root, 'manifest.json is missing', 'finish')


def test_features_of_other_regions(root):
    other = dict(frame_store.SETTINGS, options=dict(count=7))
    edit(root / 'region_maps' / 'store.json', settings=other)
    refused(root, 'region_features', 'different region maps',
            'options.count 6, now 7', 'extract_features.py')


def test_features_of_an_older_id_map(root):
    path = root / 'region_features' / 'manifest.json'
    text = path.read_text()
    item = json.loads(text)['scans']['beta']['items']['00001']['inputs']
    path.write_text(text.replace(item['id_map'], 'of another map'))
    refused(root, 'the features of beta/00001 are of an older id map')


def test_another_width_in_one_scan(root):

    def widen(scan, frame, mean):
        return np.hstack([mean, mean]) if scan == 'beta' else mean

    shutil.rmtree(root / 'region_features')
    frame_store.write_region_features(root, change=widen)
    refused(root, 'alpha has features of 3 channels, beta of 6', 'one encoder')


def test_frames_without_features_are_named(root):
    path = root / 'region_features' / 'manifest.json'
    manifest = json.loads(path.read_text())
    manifest['scans']['alpha']['items'].pop('00000')
    beta = manifest['scans']['beta']['items']['00002']
    beta.update(status='skipped', reason='a mean feature is NaN or infinite')
    path.write_text(json.dumps(manifest))
    index = index_frames(folders(root))
    assert index.frames == dict(
        alpha=['00001', '00002'], beta=['00000', '00001'])
    assert 'extract_features.py' in index.skipped['alpha/00000']
    assert index.skipped['beta/00002'] == 'a mean feature is NaN or infinite'


def test_truncated_or_missing_files_of_features(root):
    path = root / 'region_features' / 'alpha.safetensors'
    path.write_bytes(path.read_bytes()[:-1])
    refused(root, 'region_features/alpha.safetensors is missing or not of')
    path.unlink()
    refused(root, 'alpha.safetensors is missing', 'extract_features.py')
    index_frames(folders(root), scans=['beta'])


def test_missing_group_files(root):
    groups = root / 'region_groups' / 'train'
    path = groups / 'beta.safetensors'
    content = path.read_bytes()
    path.unlink()
    refused(root, 'beta.safetensors is missing', 'build_groups.py')
    path.write_bytes(content)
    (groups / 'groups.safetensors').unlink()
    refused(root, 'groups.safetensors is missing', 'build_groups.py')


def test_groups_of_fewer_scans(root):
    shutil.rmtree(root / 'region_groups')
    frame_store.write_region_groups(root, scans=['alpha'])
    index_frames(folders(root), scans=['alpha'])
    refused(root, 'has no groups of beta', 'build_groups.py', '--centroids')


def test_groups_of_other_features(root):
    shutil.rmtree(root / 'region_features')
    frame_store.write_region_features(
        root, change=lambda scan, frame, mean: mean + 1)
    refused(root, 'region_groups/train', 'different features',
            'build_groups.py')


def test_too_few_regions(root):
    refused(root, 'no frame of 2 scan', 'min_regions is 9', min_regions=9)


def test_sampler_that_forgets_the_epoch():
    loader = dict(
        dataset=dict(type='RGBDFrameDataset'),
        sampler=dict(type='DefaultSampler', shuffle=True))
    with pytest.raises(ValueError, match='every epoch.*SeededSampler'):
        check_frame_loader(loader)
    with pytest.raises(ValueError, match='SeededSampler'):
        check_frame_loader(
            dict(loader, dataset=dict(dataset=loader['dataset'])))
    check_frame_loader(dict(loader, sampler=dict(type='SeededSampler')))
    check_frame_loader(dict(dataset=dict(type='ScanNetDataset')))
    loader['dataset']['test_mode'] = True
    check_frame_loader(loader)


def test_long_lists_of_skipped_frames_are_cut():
    text = describe_skipped({f'a/{i}': 'bad' for i in range(12)})
    assert text.startswith('12 skipped: a/0 (bad); a/1 (bad)')
    assert text.endswith('a/9 (bad); and 2 more')


def record_frames(root, change=''):
    """Give the frames a store, of which the id maps know."""
    store = Store(root / 'posed_images')
    store.open('posed_images', {})
    maps = Store(root / 'region_maps')
    for scan in frame_store.SCANS:
        items = {
            frame:
            ItemRecord('ok', '',
                       {f'{scan}/{frame}.txt': (1, f'{frame}{change}')})
            for frame in frame_store.FRAMES
        }
        store.write_record(ScanRecord(scan, items))
    if not change:
        for scan in frame_store.SCANS:
            marks = PosedImages(store.root).checksums(scan)
            record = maps.record(scan)
            for frame, item in record.items.items():
                item.inputs = dict(frame=marks[frame])
            maps.write_record(record)
        maps.merge()
        shutil.rmtree(root / 'region_features')
        shutil.rmtree(root / 'region_groups')
        frame_store.write_region_features(root)
        frame_store.write_region_groups(root)


def test_id_maps_of_an_older_frame(root):
    record_frames(root)
    assert index_frames(folders(root)).frames
    record_frames(root, ' changed')
    refused(root, 'the id map of alpha/00000 is of an older frame')


def test_scans_whose_frames_are_incomplete_are_left_out(root):
    record_frames(root)
    store = Store(root / 'posed_images')
    store.open_journal(ScanRecord('alpha'))
    index = index_frames(folders(root))
    assert list(index.frames) == ['beta']
    assert 'scan alpha is incomplete' in index.skipped['alpha']


@pytest.mark.parametrize('folder', ['region_maps', 'region_features'])
def test_stores_that_are_being_changed(root, folder):
    store = Store(root / folder)
    store.open_journal(store.record('alpha'))
    refused(root, folder, 'finish')
