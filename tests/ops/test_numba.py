"""Compiled kernels under threads, forks and unwritable caches."""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from sam3d_plugin import ops
from sam3d_plugin.ops import _numba


def run_everything(seed):
    """Run ops that are large enough to be spread over threads."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(1, 9000, 3, generator=generator)
    chosen = ops.furthest_point_sample(points, 600)
    centers = ops.gather_points(points.transpose(1, 2), chosen).transpose(1, 2)
    boxes = torch.cat([centers, torch.full((1, 600, 4), 0.2)], -1)
    return torch.cat([
        chosen.flatten(),
        ops.ball_query(0, 0.1, 8, points, centers).flatten(),
        ops.knn(8, points, centers).flatten(),
        ops.three_nn(points, centers)[1].flatten(),
        ops.points_in_boxes_all(points, boxes).sum(1).flatten()
    ])


class _Scenes(Dataset):

    def __len__(self):
        return 4

    def __getitem__(self, index):
        # A worker's torch has one thread, which must stay so: OpenMP hangs
        # after a fork. Ours must not.
        with mock.patch.object(torch, 'get_num_threads', return_value=2):
            found = run_everything(index)
        assert _numba._POOL.executor is not None
        return found


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_forked_workers_after_use_in_the_parent(two_threads):
    expected = [run_everything(seed) for seed in range(4)]
    assert _numba._POOL.executor is not None
    loader = DataLoader(
        _Scenes(),
        batch_size=None,
        num_workers=2,
        multiprocessing_context='fork',
        timeout=60)
    for found, result in zip(loader, expected):
        assert torch.equal(found, result)


def test_two_python_threads_at_once(two_threads):
    expected = [run_everything(seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as executor:
        for _ in range(5):
            for found, result in zip(
                    executor.map(run_everything, range(4)), expected):
                assert torch.equal(found, result)


def test_chunks_cover_everything_once(two_threads):
    for count in (1, 2, 7):
        done = torch.zeros(count)

        def mark(start, stop):
            done[start:stop] += 1

        _numba.run_in_chunks(mark, count, 10**9)
        assert done.eq(1).all()


def test_an_error_in_any_chunk_is_raised(two_threads):
    for bad in (0, 1):

        def fail(start, stop):
            if start == bad:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            _numba.run_in_chunks(fail, 2, 10**9)


@pytest.mark.parametrize('blocked', ['nothing', 'package', 'everything'])
def test_cache_folder(tmp_path, blocked):
    """Copy the package where numba may write to less and less."""
    package = tmp_path / 'sam3d_plugin'
    package.mkdir()
    (package / '__init__.py').touch()
    original = Path(ops.__file__).parents[1]
    for folder in ('ops', 'store'):
        (package / folder).mkdir()
        for source in (original / folder).glob('*.py'):
            (package / folder / source.name).write_text(source.read_text())
    if blocked != 'nothing':
        # A file in the folder's place: root may write into any folder.
        (package / 'ops' / '__pycache__').touch()
    home = tmp_path / 'home'
    home.touch() if blocked == 'everything' else home.mkdir()
    environment = {
        **os.environ, 'PYTHONPATH': str(tmp_path),
        'HOME': str(home),
        'XDG_CACHE_HOME': str(home / 'cache')
    }
    environment.pop('NUMBA_CACHE_DIR', None)
    code = ('import torch; from sam3d_plugin import ops; '
            'print(ops.__file__, ops.three_nn(torch.zeros(1, 2, 3), '
            'torch.ones(1, 4, 3))[1].tolist())')
    output = subprocess.run([sys.executable, '-c', code],
                            env=environment,
                            cwd=tmp_path,
                            capture_output=True,
                            text=True,
                            check=False)
    expected = f'{package}/ops/__init__.py [[[0, 1, 2], [0, 1, 2]]]\n'
    assert output.stdout == expected, output.stderr
    in_tree = list(package.glob('ops/__pycache__/*.nbi'))
    assert bool(in_tree) == (blocked == 'nothing')
    assert bool(list(home.rglob('*.nbi'))) == (blocked == 'package')
