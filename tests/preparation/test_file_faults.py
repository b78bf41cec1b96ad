"""Every step survives the failure of any of its file operations.

A run is made whose n-th file operation fails, for every n, and the next run
must give the bytes of one that nothing happened to.
"""
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.features import groups_report
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
from sam3d_plugin.preparation.regions.superpoint_step import SuperpointStep
from sam3d_plugin.preparation.regions.superpoints import SuperpointOptions
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.preparation.sources.rgbd_folder.fuse_step import (
    FuseStep, FusionSettings)
from sam3d_plugin.preparation.sources.rgbd_folder.step import (FolderOptions,
                                                               RGBDFolderStep)
from sam3d_plugin.preparation.sources.s3dis.raw import RELEASE
from sam3d_plugin.preparation.sources.s3dis.rooms import RoomStep
from sam3d_plugin.preparation.sources.scannet.frames import SensFrames
from sam3d_plugin.preparation.sources.scannet.scans import ScanNetScans
from sam3d_plugin.preparation.sources.sunrgbd.sources import open_source
from sam3d_plugin.preparation.sources.sunrgbd.step import SunRGBDStep
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.manifest import (ItemRecord, ScanRecord, Store,
                                         file_checksum)
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from sam3d_plugin.store.region_maps import encode_region_map
from sam3d_plugin.synthrooms import SynthOptions, SynthRoomsStep
from ..file_faults import Faults, contents, failing
from .sources.rgbd_folder import conftest as recordings
from .sources.scannet import conftest as scannet
from .sources.sunrgbd import conftest as sunrgbd

SIZE = 8, 10
INTRINSICS = np.array([[10.0, 0, 5], [0, 10, 4], [0, 0, 1]])
SCANNET = 'scene0000_00'


def write_frames(root, version):
    """A scan of two frames, with the record of the step that wrote them."""
    images = PosedImages(root / 'posed_images')
    images.write_cameras('a', Cameras(INTRINSICS, INTRINSICS, np.eye(4), True))
    store = Store(images.root)
    store.open('posed_images', {})
    rows, columns = np.indices(SIZE)
    record = ScanRecord('a')
    for i in range(2):
        grey = (rows * 16 + columns * (version + 1 + i)).astype(np.uint8)
        files = frame_files(
            encode_color(np.stack([grey] * 3, -1)),
            np.full(SIZE, 2000 + version, np.uint16), np.eye(4))
        record.items[f'{i:05d}'] = ItemRecord(
            'ok', '',
            store.write({
                f'a/{i:05d}{e}': c
                for e, c in files.items()
            }))
        ids = np.ones(SIZE, np.uint16)
        ids[(rows if version else columns) > 3 + i] = 2
        path = root / f'labels/a/{i:05d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_region_map(ids))
    store.write_record(record)
    store.merge()
    points = np.zeros((rows.size, 6), '<f4')
    points[:, 0] = (columns.ravel() - 5) * 2 / 10 + 0.01 * version
    points[:, 1] = (rows.ravel() - 4) * 2 / 10
    points[:, 2] = 2
    points[:, 3:] = 30 * (columns.ravel() > 4 + version)[:, None]
    (root / 'points').mkdir()
    points.tofile(root / 'points/a.bin')


def write_maps(root, version):
    write_frames(root, version)
    make(maps_step(root), root / 'region_maps')


def write_features(root, version):
    write_maps(root, version)
    make(features_step(root), root / 'region_features')


def maps_step(root):
    return RegionMapStep(
        root / 'posed_images',
        build_generator('precomputed',
                        dict(path=str(root / 'labels'), form='labels')))


def features_step(root):
    return RegionFeatureStep(
        root / 'posed_images', root / 'region_maps',
        build_encoder('handcrafted', dict(long_side=16, stride=4)))


def superpoint_step(root):
    return SuperpointStep(root, SuperpointOptions(voxel=0.1, min_area=0.01))


def write_recording(root, version):
    recordings.write_7scenes(
        root,
        recordings.make_frames(version + 2)[version:version + 2])


def write_sens(root, version):
    scannet.write_sens(root / f'scans/{SCANNET}/{SCANNET}.sens',
                       scannet.make_frames(version + 2)[version:])


def write_scan(root, version):
    scannet.write_scan(root / f'scans/{SCANNET}', scannet.make_room(version))
    lines = ['raw_category\tid\tnyu40id\tnyu40class']
    lines += [f'{n}\t{i}\t{i}\t{n}' for n, i in scannet.LABELS.items()]
    (root / 'labels.tsv').write_text('\n'.join(lines))


def write_rooms(root, version):
    folder = root / RELEASE / 'Area_1/office_1/Annotations'
    folder.mkdir(parents=True)
    for name in ('floor_1', 'chair_1'):
        xyz = np.random.default_rng(version).uniform(0, 3, (5, 3))
        lines = [' '.join(f'{x:.3f}' for x in p) + ' 9 8 7\n' for p in xyz]
        (folder / f'{name}.txt').write_text(''.join(lines))


def write_sun(root, version):
    scans = [sunrgbd.make_scan(1)]
    scans[0].depth[:2] = 1000 + version
    sunrgbd.write_trainval(root, scans, [])


class RememberedRooms(SynthRoomsStep):
    """Renders a scene once; its bytes follow from the seed."""
    scenes: dict = {}

    def _make(self, scan):
        if scan not in self.scenes:
            self.scenes[scan] = super()._make(scan)
        return self.scenes[scan]


def write_nothing(root, version):
    root.mkdir(exist_ok=True)


# What writes the inputs in a folder, and the step of it.
STEPS = dict(
    region_maps=(write_frames, maps_step),
    region_features=(write_maps, features_step),
    frame_regions=(write_maps, FrameRegionsStep),
    scan_regions=(write_maps, ScanRegionsStep),
    superpoints=(write_frames, superpoint_step),
    fused_scans=(write_frames,
                 lambda root: FuseStep(root, FusionSettings(min_pixels=1))),
    rgbd_folder=(write_recording, lambda root: RGBDFolderStep(
        str(root), 'a', FolderOptions(color_intrinsics='30,29,15.8,11.4'))),
    sens_frames=(write_sens, lambda root: SensFrames(root, stride=1)),
    scannet_scans=(write_scan, lambda root: ScanNetScans(
        root, dict(train=[SCANNET]), root / 'labels.tsv')),
    s3dis_rooms=(write_rooms, RoomStep),
    sunrgbd=(write_sun, lambda root: SunRGBDStep(open_source(root), 20)),
    synthrooms=(write_nothing, lambda root: RememberedRooms(
        0, 1, 0, SynthOptions(num_frames=1, size=(24, 32)))))


def make(step, out):
    return run_step(step, out, RunOptions(workers=0),
                    Console(file=io.StringIO()))


class Trial:
    """A data set in two versions, and one run of a step after the other.

    Args:
        folder (Path): Empty.
        write (Callable): Writes a version of the inputs.
        run (Callable): Runs the step: folder of the inputs, output.
    """

    def __init__(self, folder, write, run):
        self.data, self.out = folder / 'data', folder / 'data/out'
        self.run = run
        self.versions = [folder / 'first', folder / 'second']
        for number, version in enumerate(self.versions):
            version.mkdir()
            write(version, number)
        self.data.mkdir()

    def use(self, number):
        """Give the inputs their bytes, and times, of a version."""
        for path in self.data.iterdir():
            if path != self.out:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.versions[number], self.data, dirs_exist_ok=True)

    def fresh(self, number):
        """What a run makes that nothing happens to."""
        self.use(number)
        shutil.rmtree(self.out, ignore_errors=True)
        self.run(self.data, self.out)
        return contents(self.out)

    def fail(self, capsys, first, is_persistent):
        """A run with failures; whether it has come to the last of them."""
        faults = Faults(self.data, first, is_persistent)

        def work(_):
            self.run(self.data, self.out)

        with failing(faults):
            status = run_tool(work, None, PREPARATION)
        message = capsys.readouterr().err
        assert status == 0 or (status == 1 and message.startswith('error: ')
                               and message.count('\n') == 1), message
        self.check_books()
        return faults.count >= first

    def check_books(self):
        """What is recorded is there, byte by byte."""
        store = Store(self.out)
        records = [store.record(scan) for scan in store.recorded_scans()]
        records += [store.journal(scan) for scan in store.open_scans()]
        if Path(store.path('manifest.json')).exists():
            records += store.manifest().values()
        for record in records:
            closed = [] if record.scan in store.open_scans() else [record]
            for part in [*record.items.values(), *closed]:
                for path, mark in part.files.items():
                    assert file_checksum(store.read(path)) == mark, path


@pytest.fixture
def start(tmp_path, capsys):

    def start(write, run):
        return Trial(tmp_path, write, run)

    return start


def runner(name):
    return lambda data, out: make(STEPS[name][1](data), out)


@pytest.mark.timeout(1200)  # a hundred runs of each step
@pytest.mark.parametrize('name', STEPS)
def test_a_failed_operation_loses_and_doubles_nothing(start, name, capsys):
    trial = start(STEPS[name][0], runner(name))
    expected = trial.fresh(0)
    for is_persistent in (False, True):
        first = 1
        shutil.rmtree(trial.out)
        while trial.fail(capsys, first, is_persistent):
            trial.run(trial.data, trial.out)
            assert contents(trial.out) == expected, first
            shutil.rmtree(trial.out)
            first += 1
        assert first > 20


@pytest.mark.parametrize('name',
                         [name for name in STEPS if name != 'synthrooms'])
def test_a_kill_hides_no_change_of_the_input(start, name, capsys):
    """The run that is killed makes other products of other inputs."""
    trial = start(STEPS[name][0], runner(name))
    expected = [trial.fresh(1), trial.fresh(0)]
    assert expected[0] != expected[1]
    whole = trial.data.parent / 'whole'
    shutil.copytree(trial.out, whole)
    first = 1
    while True:
        trial.use(1)
        if not trial.fail(capsys, first, True):
            break
        trial.use(first % 2)  # the other one again, or the first
        trial.run(trial.data, trial.out)
        assert contents(trial.out) == expected[1 - first % 2], first
        shutil.rmtree(trial.out)
        shutil.copytree(whole, trial.out)
        first += 1
    assert first > 20


def test_groups_survive_too(start, capsys, monkeypatch):
    monkeypatch.setattr(groups_report, 'draw_report', lambda report: b'PNG')

    def run(data, out):
        build_groups(
            data / 'region_features',
            out,
            options=GroupOptions(
                groups=2, epochs=1, batch_size=2, buffer_size=4))

    trial = start(write_features, run)
    expected = trial.fresh(0)
    for is_persistent in (False, True):
        first = 1
        shutil.rmtree(trial.out)
        while trial.fail(capsys, first, is_persistent):
            run(trial.data, trial.out)
            assert contents(trial.out) == expected, first
            shutil.rmtree(trial.out)
            first += 1
    trial.fresh(0)
    trial.use(1)
    with pytest.raises(StoreError, match='features.content'):
        run(trial.data, trial.out)
