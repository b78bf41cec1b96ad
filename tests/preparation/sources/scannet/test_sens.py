"""Reading .sens recordings."""
import os
import zlib

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scannet import sens
from sam3d_plugin.preparation.sources.scannet.sens import (SensFile,
                                                           decode_depth)
from sam3d_plugin.store.errors import FrameError

FRAME_HEADER = 96


def test_frames_come_back_bit_for_bit(raw, tmp_path):
    frames = raw.frames()
    file = SensFile(str(raw.write_sens(tmp_path / 'a.sens', frames)))
    header = file.header
    assert header.sensor == 'StructureSensor (calibrated)'
    assert header.num_frames == len(frames)
    assert header.color_size == (24, 32) and header.depth_size == (12, 16)
    matrices = raw.cameras()
    np.testing.assert_array_equal(header.color_intrinsics, matrices[0])
    np.testing.assert_array_equal(header.depth_intrinsics, matrices[2])
    for i in (4, 0, 5):  # any order
        frame = file.frame(i)
        np.testing.assert_array_equal(frame.pose, frames[i].pose)
        assert frame.color == frames[i].color
        depth = decode_depth(frame.depth, header, 'frame')
        assert depth.dtype == np.uint16
        np.testing.assert_array_equal(depth, frames[i].depth)


def test_only_asked_payloads_are_read_and_headers_once(raw, tmp_path,
                                                       monkeypatch):
    frames = raw.frames(9)
    path = raw.write_sens(tmp_path / 'a.sens', frames)
    reads = []
    pread = os.pread
    monkeypatch.setattr(sens.os, 'pread',
                        lambda fd, n, at: reads.append(n) or pread(fd, n, at))
    file = SensFile(str(path))
    reads.clear()
    for i in (0, 4, 8, 0, 4):
        file.frame(i)
    payloads = [n for n in reads if n > FRAME_HEADER]
    assert len(payloads) == 5
    assert reads.count(FRAME_HEADER) == 9
    file.close()


def test_truncated_files_give_their_whole_frames(raw, tmp_path):
    path = raw.write_sens(tmp_path / 'a.sens', raw.frames())
    content = path.read_bytes()
    path.write_bytes(content[:len(content) * 3 // 5])
    file = SensFile(str(path))
    file.frame(2)
    for _ in range(2):
        with pytest.raises(
                FrameError, match=r'a\.sens is truncated: 3 of 6 frames'):
            file.frame(5)
    file.frame(1)


def test_sizes_beyond_the_file_are_a_truncation(raw, tmp_path):
    frames = raw.frames(2)
    path = raw.write_sens(tmp_path / 'a.sens', frames)
    content = bytearray(path.read_bytes())
    at = content.index(frames[1].pose.tobytes()) + 64 + 16
    content[at:at + 8] = b'\xff' * 8
    path.write_bytes(content)
    with pytest.raises(FrameError, match='1 of 2 frames'):
        SensFile(str(path)).frame(1)


@pytest.mark.parametrize('changes, message', [
    (dict(version=3), 'version 4'),
    (dict(depth_type=2), 'compression'),
    (dict(color_type=-1), 'compression'),
    (dict(shift=float('nan')), 'header is damaged'),
    (dict(depth_size=(0, 16)), 'header is damaged'),
    (dict(depth_size=(2**32 - 1, 16)), 'header is damaged'),
    (dict(count=10**12), 'header is damaged .1000000000000 frames'),
    (dict(count=0), 'holds no frame'),
])
def test_other_files_are_refused(raw, tmp_path, changes, message):
    path = raw.write_sens(tmp_path / 'a.sens', raw.frames(1), **changes)
    with pytest.raises(FrameError, match=message):
        SensFile(str(path))


@pytest.mark.parametrize('length', [0, 5, 30, 200])
def test_cut_headers_are_refused(raw, tmp_path, length):
    path = raw.write_sens(tmp_path / 'a.sens', raw.frames(1))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FrameError, match='a.sens.*copy it again'):
        SensFile(str(path))


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(FrameError, match='b.sens is missing'):
        SensFile(str(tmp_path / 'b.sens'))
    with pytest.raises(FrameError, match='cannot be read .Is a directory'):
        SensFile(str(tmp_path))


@pytest.mark.parametrize('depth_type', [0, 1])
def test_depth_units_become_millimetres(raw, tmp_path, depth_type):
    frames = raw.frames(1)
    frames[0].depth[0, :3] = 0, 5, 60000
    path = raw.write_sens(
        tmp_path / 'a.sens', frames, shift=500.0, depth_type=depth_type)
    file = SensFile(str(path))
    depth = decode_depth(file.frame(0).depth, file.header, 'frame')
    expected = frames[0].depth.astype(int) * 2
    expected[0, 2] = 0  # 120 m fit in no uint16 of millimeters
    np.testing.assert_array_equal(depth, expected)


@pytest.mark.parametrize('content', [
    b'no zlib',
    zlib.compress(b'\0' * 100),
    zlib.compress(b'\1' * 10**6),
])
def test_damaged_depth_is_named(raw, tmp_path, content):
    path = raw.write_sens(tmp_path / 'a.sens', raw.frames(1))
    header = SensFile(str(path)).header
    with pytest.raises(FrameError, match='^frame 3: the depth is'):
        decode_depth(content, header, 'frame 3')


def test_remote_files_are_fetched(raw, tmp_path):
    from mmengine.fileio import BaseStorageBackend, register_backend

    class Bucket(BaseStorageBackend):

        def get(self, filepath):
            return (tmp_path / filepath.split('://')[1]).read_bytes()

        def get_text(self, filepath):
            raise NotImplementedError

        def get_local_path(self, filepath):
            from contextlib import contextmanager

            @contextmanager
            def local():
                path = tmp_path / 'fetched'
                path.write_bytes(self.get(filepath))
                yield path
                path.unlink()

            return local()

    register_backend('scannet_test', Bucket, force=True)
    frames = raw.frames(1)
    raw.write_sens(tmp_path / 'a.sens', frames)
    file = SensFile('bucket://a.sens', dict(backend='scannet_test'))
    assert file.frame(0).color == frames[0].color
    file.close()
    assert not (tmp_path / 'fetched').exists()
