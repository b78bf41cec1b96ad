"""Every step reads from and writes to an object store as to a disk."""
import io

import numpy as np
import pytest
from mmengine import fileio
from rich.console import Console

from sam3d_plugin.preparation.checking.verification import Verifier
from sam3d_plugin.preparation.features.encoders import build_encoder
from sam3d_plugin.preparation.features.region_features_step import \
    RegionFeatureStep
from sam3d_plugin.preparation.features.region_groups import (GroupOptions,
                                                             build_groups)
from sam3d_plugin.preparation.lifting.frame_regions_step import \
    FrameRegionsStep
from sam3d_plugin.preparation.lifting.region_paths import name_all_region_files
from sam3d_plugin.preparation.lifting.scan_regions_step import ScanRegionsStep
from sam3d_plugin.preparation.regions.generators import build_generator
from sam3d_plugin.preparation.regions.region_maps_step import RegionMapStep
from sam3d_plugin.preparation.regions.superpoint_step import (SuperpointStep,
                                                              make_regions)
from sam3d_plugin.preparation.regions.superpoints import SuperpointOptions
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.files import join
from ..store.test_files import Bucket
from .test_changed_input import data as local_data  # noqa: F401 (a fixture)

ARGS = dict(backend='bucket')


@pytest.fixture
def bucket():
    fileio.register_backend('bucket', Bucket, force=True)
    Bucket.objects.clear()
    yield Bucket.objects
    Bucket.objects.clear()


def run_chain(root, backend_args):
    """All steps; how much each made."""
    options = RunOptions(workers=0, backend_args=backend_args)
    console = Console(file=io.StringIO())
    images, maps = join(root, 'posed_images'), join(root, 'region_maps')
    encoder = build_encoder('handcrafted', dict(long_side=32))
    steps = dict(
        region_maps=RegionMapStep(
            images, build_generator('superpixel', dict(long_side=16)),
            backend_args),
        region_features=RegionFeatureStep(images, maps, encoder, backend_args),
        frame_regions=FrameRegionsStep(root, backend_args=backend_args),
        regions=ScanRegionsStep(root, backend_args=backend_args))
    made = {
        name: run_step(step, join(root, name), options, console).made
        for name, step in steps.items()
    }
    build_groups(
        join(root, 'region_features'),
        join(root, 'region_groups/train'),
        options=GroupOptions(groups=2, epochs=1),
        backend_args=backend_args)
    superpoints = SuperpointStep(
        root, SuperpointOptions(), backend_args=backend_args)
    make_regions(superpoints, root, join(root, 'superpoints'), options,
                 console)
    name_all_region_files(root, join(root, 'regions'), backend_args)
    return made


def test_object_store_gets_the_bytes_of_a_disk(local_data, bucket):  # noqa
    root = local_data
    for path in list((root / 'region_maps').rglob('*'))[::-1]:
        path.unlink() if path.is_file() else path.rmdir()
    rng = np.random.default_rng(0)
    points = np.fromfile(root / 'points/a.bin', '<f4').reshape(-1, 6)
    points[:, 3:] = rng.integers(0, 255, (len(points), 3))
    points.tofile(root / 'points/a.bin')
    inputs = [*root.glob('posed_images/*/*'), *root.glob('points/*')]
    for path in inputs:
        bucket[f'far/{path.relative_to(root)}'] = path.read_bytes()
    made = dict(region_maps=3, region_features=3, frame_regions=3, regions=1)
    assert run_chain('far', ARGS) == made
    assert run_chain(root, None) == made
    stored = {
        f'far/{path.relative_to(root)}': path.read_bytes()
        for path in root.rglob('*') if path.is_file()
        and 'labels' not in path.parts and '.locks' not in path.parts
    }
    assert sorted(stored) == sorted(bucket)
    assert not [name for name in stored if stored[name] != bucket[name]]
    reports = Verifier('far', backend_args=ARGS).run()
    assert len(reports) == 6
    assert not [str(p) for report in reports for p in report.problems]
    assert set(run_chain('far', ARGS).values()) == {0}
