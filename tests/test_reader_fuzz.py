"""Damaged files end in a sentence: no crash, no hang, no memory without end.

The copies are the same at each run. To see what a failure was read from, call
``mutated(content, index, other)`` with the index that it names.
"""
import io
import json
import zipfile
from functools import partial

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 read_scan)
from tests import processes
from tests.damaged_readers import READERS
from tests.damaged_scans import ascii_mesh
from tests.fuzzing import read_damaged

COUNT = 400
pytestmark = pytest.mark.timeout(900)  # all readers are in a fixture


def fuzz(names, folder):
    """What a process does: one reader after the other."""
    for name in names:
        own = folder / name
        own.mkdir()
        content, read = READERS[name](own)
        read(own, content)
        other = b'PK\x03\x04' if name != 'npz' else b'ply\nformat ascii 1.0\n'
        read_damaged(partial(read, own), content, other, COUNT, own)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What became of each reader; one that ends the process is left there."""
    folder = tmp_path_factory.mktemp('fuzz')
    names = list(READERS)
    while names:
        process = processes.start(fuzz, names, folder)
        process.join(600)
        process.kill()
        started = [name for name in names if (folder / name).is_dir()]
        assert started, 'no reader started'
        names = names[len(started):]
    return folder


@pytest.mark.parametrize('name', READERS)
def test_damage_is_told_in_a_sentence(name, folder):
    index, refused = json.loads((folder / name / 'reached.json').read_text())
    assert index == COUNT, f'the process ended at copy {index}'
    escapes = (folder / name / 'escapes.txt').read_text()
    assert not escapes, escapes
    assert refused > COUNT // 10  # the damage was real


def test_a_trillion_points_are_refused_before_they_are_allocated(tmp_path):
    """PLY as text, where nothing but our check counts, and an archive."""
    ascii_mesh(tmp_path / 'a.ply')
    content = (tmp_path / 'a.ply').read_bytes()
    (tmp_path / 'a.ply').write_bytes(
        content.replace(b'vertex 60\n', b'vertex 1000000000000\n'))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, dict(descr='<f4', fortran_order=False, shape=(10**12, 3)))
    with zipfile.ZipFile(tmp_path / 'b.npz', 'w') as archive:
        archive.writestr('xyz.npy', header.getvalue())
    for name in ('a.ply', 'b.npz'):
        with pytest.raises(ScanError, match='not fit into'):
            read_scan(tmp_path / name, ReadOptions())
