"""The tool that makes id maps, and its step, on small frames."""

import numpy as np
import pytest

from sam3d_plugin.preparation.regions.generators import RegionGenerator
from sam3d_plugin.preparation.regions.region_maps_step import RegionMapStep
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from sam3d_plugin.store.region_maps import RegionMaps
from tests.tools.conftest import load_tool

K = np.array([[40., 0, 19.5], [0, 40., 14.5], [0, 0, 1]])
NAMES = ['00000', '00001', '00002']


@pytest.fixture
def data(tmp_path):
    """Two scans of three frames: a red left half before a grey right one."""
    images = PosedImages(tmp_path / 'posed_images')
    color = np.full((30, 40, 3), 128, np.uint8)
    color[:, :20] = (200, 30, 30)
    depth = np.full((30, 40), 2000, np.uint16)
    depth[:, :20] = 1500
    for scan in ('a', 'b'):
        images.write_cameras(scan, Cameras(K, K, np.eye(4), True))
        for name in NAMES:
            files = frame_files(encode_color(color), depth, np.eye(4))
            for ending, content in files.items():
                path = tmp_path / f'posed_images/{scan}/{name}{ending}'
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    return tmp_path


def run(data, *arguments):
    return load_tool('preparation/generate_regions').main(
        ['--data', str(data), '--workers', '0', *arguments])


def test_maps_of_all_frames_and_their_records(data):
    assert run(data) == 0
    maps = RegionMaps(data / 'region_maps')
    assert maps.scans() == ['a', 'b'] and maps.frames('a') == NAMES
    ids = maps.read('b', '00002')
    assert ids.shape == (30, 40) and ids.dtype == np.uint16
    # Slivers of the JPEG's soft edge aside, the halves are the regions.
    assert (ids[:, :18] == 1).all() and (ids[:, 24:] == ids[0, -1]).all()
    assert ids[0, -1] > 1
    record = Store(data / 'region_maps').manifest()['a'].items['00001']
    assert record.fields == dict(regions=int(ids.max()), covered=1.0)


def test_a_second_run_keeps_everything(data, capsys):
    run(data)
    before = (data / 'region_maps/a/00000.png').stat().st_mtime_ns
    assert run(data) == 0
    assert '0 frames made, 6 kept' in capsys.readouterr().out
    assert (data / 'region_maps/a/00000.png').stat().st_mtime_ns == before


def test_other_settings_need_another_folder(data, capsys):
    run(data)
    assert run(data, '-O', 'min_share=0.01') == 1
    assert 'min_share 0.0005, now 0.01' in capsys.readouterr().err
    other = str(data / 'other')
    assert run(data, '-O', 'min_share=0.01', '--out', other) == 0
    header = Store(other).header()
    assert header['settings']['generator'] == 'superpixel'
    assert header['settings']['options']['min_share'] == 0.01


@pytest.mark.parametrize('arguments, message', [
    (['-O', 'size=3'], 'superpixel has no option size; its options are'),
    (['-O', 'min_share=2'], 'invalid'),
])
def test_wrong_options_end_in_one_sentence(data, capsys, arguments, message):
    assert run(data, *arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
    assert not (data / 'region_maps').exists()


def test_bad_frames_are_skipped_and_named(data, capsys):
    folder = data / 'posed_images/a'
    (folder / '00000.jpg').write_bytes(
        (folder / '00000.jpg').read_bytes()[:300])
    (folder / '00001.txt').write_text('nan ' * 16)
    assert run(data) == 0
    text = capsys.readouterr().out
    assert 'skipped a/00000: ' in text and 'not a readable image' in text
    assert 'skipped a/00001: ' in text and 'pose is not finite' in text
    assert RegionMaps(data / 'region_maps').frames('a') == ['00002']


class HalfRegions(RegionGenerator):
    """Red and grey by colour; refuses frames named 00001."""
    name = 'half'
    batch_size = 3
    needs_depth = False

    def settings(self):
        return {}

    def generate(self, frames):
        assert all(frame.depth.size == 0 for frame in frames)
        assert all(np.isnan(frame.pose).all() for frame in frames)
        return [
            FrameError('no') if frame.name == '00001' else 1 +
            (frame.color[..., 1] > 80).astype(np.uint16) for frame in frames
        ]


def test_colour_is_enough_for_generators_without_depth(data):
    (data / 'posed_images/a/00000.txt').unlink()
    (data / 'posed_images/a/00002.png').unlink()
    step = RegionMapStep(data / 'posed_images', HalfRegions())
    products = step.process('a', NAMES)
    assert [type(product).__name__
            for product in products] == ['Product', 'FrameError', 'Product']
    # RGB, not BGR: the red half is dark in green.
    assert products[0].fields == dict(regions=2, covered=1.0)


def test_a_bad_frame_does_not_take_its_batch_with_it(data):
    (data / 'posed_images/a/00000.jpg').write_bytes(b'')
    step = RegionMapStep(data / 'posed_images', HalfRegions())
    found = step.process('a', NAMES)
    assert 'not a readable image' in str(found[0]) and str(found[1]) == 'no'
    assert list(found[2].files) == ['a/00002.png']


def test_a_map_that_is_no_map_is_skipped(data):

    class Gaps(HalfRegions):

        def generate(self, frames):
            return [3 * ids for ids in super().generate(frames)]

    step = RegionMapStep(data / 'posed_images', Gaps())
    found, = step.process('a', ['00000'])
    assert 'not contiguous' in str(found)
