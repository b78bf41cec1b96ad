"""A small prepared data set in which every region can be recognised.

The camera looks along world y with z up. The image is cut into bands of rows,
each a region, so that a point's height tells which region it came from. The
features of a region are (scan, frame, id).
"""
import numpy as np
from rich.console import Console

from sam3d_plugin.preparation.pairs.frame_pairs_step import FramePairsStep
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.files import checksum
from sam3d_plugin.store.manifest import HEADER, ItemRecord, ScanRecord, Store
from sam3d_plugin.store.object_library import ObjectLibrary, write_objects
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from sam3d_plugin.store.region_features import (RegionFeatureArrays,
                                                pack_features)
from sam3d_plugin.store.region_groups import (GROUPS, GROUPS_FILE, Groups,
                                              balanced_weights, encode_groups,
                                              pack_group_ids)
from sam3d_plugin.store.region_maps import encode_region_map

HEIGHT, WIDTH, FOCAL = 48, 64, 50.0
BANDS, GROUP_COUNT = 6, 4
SCANS, FRAMES = ('alpha', 'beta'), ('00000', '00001', '00002')
POSE = np.array([[1, 0, 0, 3], [0, 0, 1, -2], [0, -1, 0, 0], [0, 0, 0, 1.]])
INTRINSICS = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2],
                       [0, 0, 1]])
DEPTH = 2.0
SETTINGS = dict(generator='bands', options=dict(count=BANDS))


def ids_of_bands(scan, frame):
    """(BANDS,) region id of each band; another order in every frame."""
    seed = SCANS.index(scan) * len(FRAMES) + FRAMES.index(frame)
    return np.random.default_rng(seed).permutation(BANDS) + 1


def band_of_height(z):
    """Band that points of a height (world, metres) are in."""
    rows = np.rint(-np.asarray(z) * FOCAL / DEPTH + HEIGHT / 2)
    return (rows.astype(int) * BANDS) // HEIGHT


def planted_features(scan, frame):
    """(R, 3) float16."""
    ids = np.arange(1, BANDS + 1)
    place = [SCANS.index(scan) + 1, FRAMES.index(frame) + 1]
    return np.column_stack([np.tile(place, (BANDS, 1)),
                            ids]).astype(np.float16)


def planted_groups(scan, frame):
    """(R,) group of each region."""
    return (np.arange(BANDS) + FRAMES.index(frame)) % GROUP_COUNT


def write_frames(root, cameras=None):
    """Write posed_images.

    Random colors, constant depth, no depth in the first columns.
    """
    images = PosedImages(root / 'posed_images')
    cameras = cameras or Cameras(INTRINSICS, INTRINSICS, np.eye(4), True)
    depth = np.full((HEIGHT, WIDTH), DEPTH * 1000, np.uint16)
    depth[:, :4] = 0
    store = Store(images.root)
    for scan in SCANS:
        images.write_cameras(scan, cameras)
        for frame in FRAMES:
            seed = [SCANS.index(scan), FRAMES.index(frame)]
            color = np.random.default_rng(seed).integers(
                0, 256, (HEIGHT, WIDTH, 3), np.uint8)
            files = frame_files(encode_color(color), depth, POSE)
            store.write({f'{scan}/{frame}{e}': c for e, c in files.items()})


def write_region_maps(root, settings=SETTINGS, skipped=()):
    """Write region_maps; frames of ``skipped`` are recorded as such."""
    store = Store(root / 'region_maps')
    store.open('region_maps', settings)
    rows = np.arange(HEIGHT) * BANDS // HEIGHT
    for scan in SCANS:
        items = {}
        for frame in FRAMES:
            if (scan, frame) in skipped:
                items[frame] = ItemRecord('skipped', f'{frame} has no region')
                continue
            ids = np.tile(ids_of_bands(scan, frame)[rows][:, None], WIDTH)
            marks = store.write(
                {f'{scan}/{frame}.png': encode_region_map(ids)})
            items[frame] = ItemRecord('ok', '', marks, dict(regions=BANDS))
        store.write_record(ScanRecord(scan, items))
    store.merge()


def write_region_features(root, settings=SETTINGS, change=None):
    """Write region_features; ``change`` may replace a frame's arrays."""
    store = Store(root / 'region_features')
    store.open('region_features', dict(encoder='planted', regions=settings))
    maps = Store(root / 'region_maps').manifest()
    for scan in SCANS:
        frames, items = {}, {}
        for frame, item in maps[scan].completed.items():
            mean = planted_features(scan, frame)
            if change is not None:
                mean = change(scan, frame, mean)
            areas = np.ones(len(mean), np.int32)
            frames[frame] = RegionFeatureArrays(mean, mean, areas)
            items[frame] = ItemRecord(
                'ok', '', {}, dict(regions=len(mean), channels=mean.shape[1]),
                dict(id_map=item.fingerprint))
        marks = store.write({f'{scan}.safetensors': pack_features(frames)})
        store.write_record(ScanRecord(scan, items, marks))
    store.merge()


def write_region_groups(root, scans=SCANS, channels=3):
    """Write region_groups/train as build_groups does."""
    features = Store(root / 'region_features')
    records = features.manifest()
    contents = [
        f'{s} {records[s].files[f"{s}.safetensors"][1]}' for s in scans
    ]
    store = Store(root / 'region_groups' / 'train')
    store.open(
        'region_groups',
        dict(
            features=dict(
                store=checksum(features.read(HEADER)),
                content=checksum('\n'.join(contents).encode()))))
    for scan in scans:
        content = pack_group_ids({
            frame: planted_groups(scan, frame)
            for frame in records[scan].completed
        })
        marks = store.write({f'{scan}.safetensors': content})
        store.write_record(
            ScanRecord(scan, {scan: ItemRecord('ok', '', marks, {})}))
    counts = np.arange(1, GROUP_COUNT + 1)
    groups = Groups(
        np.eye(GROUP_COUNT, channels, dtype=np.float32) + .1, counts,
        balanced_weights(counts))
    marks = store.write({GROUPS_FILE: encode_groups(groups)})
    store.write_record(
        ScanRecord(GROUPS, {GROUPS: ItemRecord('ok', '', marks, {})}))
    store.merge()


def write_frame_pairs(root):
    """Write frame_pairs: all frames of a scan see the same wall."""
    run_step(
        FramePairsStep(root), root / 'frame_pairs', RunOptions(workers=0),
        Console(quiet=True))


def write_boxes(root):
    """Write objects.npz: the sides of two boxes."""
    points = np.random.default_rng(0).uniform(-.5, .5, (2, 2000, 3))
    axis = np.abs(points).argmax(2)[..., None]
    side = np.sign(np.take_along_axis(points, axis, 2)) / 2
    np.put_along_axis(points, axis, side, 2)
    points = (points + [0, 0, .5]) * [[[.3, .3, .9]], [[.4, .2, .7]]]
    write_objects(root / 'objects.npz', ObjectLibrary(['a', 'b'], points))


def write_data_set(root, skipped=()):
    """Write all of it."""
    write_boxes(root)
    write_frames(root)
    write_frame_pairs(root)
    write_region_maps(root, skipped=skipped)
    write_region_features(root)
    write_region_groups(root)
    return root


PIPELINE = [
    dict(type='LoadRGBDPoints', num_points=500, center='none'),
    dict(type='LoadRegionTargets'),
    dict(
        type='LoadRegionTargets',
        folder='region_groups/train',
        key='group_ids'),
    dict(
        type='GlobalRotScaleTrans',
        rot_range=[-3.14, 3.14],
        scale_ratio_range=[0.8, 1.2]),
    dict(
        type='RandomFlip3D',
        sync_2d=False,
        flip_ratio_bev_horizontal=0.5,
        flip_ratio_bev_vertical=0.5),
    dict(
        type='PackPretrainInputs',
        meta_keys=('scan', 'frame', 'sample_idx', 'pcd_scale_factor')),
]
