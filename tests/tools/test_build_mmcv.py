"""Building a small package with mmcv's name, and what a build is told."""
import io
import os
import tarfile
import zipfile

import pytest

from tools import build_mmcv

SETUP = """
from setuptools import setup
print('[3/4] c++ -std=c++17')
setup(name='mmcv', version='2.1.0', py_modules=[])
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    """An index that has the source of a package named mmcv."""
    with tarfile.open(tmp_path / 'mmcv-2.1.0.tar.gz', 'w:gz') as archive:
        for name, text in (('setup.py', SETUP),
                           ('PKG-INFO', 'Name: mmcv\nVersion: 2.1.0\n')):
            member = tarfile.TarInfo(f'mmcv-2.1.0/{name}')
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(tmp_path))


@pytest.mark.parametrize('torch_version, standard', [('2.9.1', 'c++17'),
                                                     ('2.14.0', 'c++20')])
def test_the_standard_is_what_torch_asks_for(tmp_path, source, torch_version,
                                             standard):
    folder = tmp_path / 'build'
    folder.mkdir()
    found = build_mmcv.fetch_source(folder, torch_version)
    assert f'-std={standard}' in (found / 'setup.py').read_text()
    (found / 'object.o').touch()
    assert build_mmcv.fetch_source(folder, torch_version) == found
    assert (found / 'object.o').exists()


def test_a_wheel_is_built_and_progress_printed(tmp_path, source, monkeypatch,
                                               capfd):
    monkeypatch.setattr(build_mmcv, 'REPORT_SECONDS', 0)
    folder = build_mmcv.fetch_source(tmp_path, '2.11.0')
    wheel = build_mmcv.build(folder, dict(os.environ), tmp_path / 'log')
    assert zipfile.is_zipfile(wheel)
    assert 'mmcv: file 3/4' in capfd.readouterr().out
    (folder / 'setup.py').write_text('raise OSError("compiler gone")')
    with pytest.raises(SystemExit, match='compiler gone'):
        build_mmcv.build(folder, dict(os.environ), tmp_path / 'log')


@pytest.fixture
def toolkit(tmp_path, monkeypatch):
    """A CUDA toolkit, whose nvcc on PATH is a script that calls it."""
    folder = tmp_path / 'cuda-13'
    for path, text in ((folder / 'bin' / 'nvcc',
                        f'echo "#$ TOP={folder}/bin/.." >&2'),
                       (tmp_path / 'bin' / 'nvcc',
                        f'exec {folder}/bin/nvcc "$@"')):
        path.parent.mkdir(parents=True)
        path.write_text(f'#!/bin/sh\n{text}\n')
        path.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'), prepend=':')
    for name in ('CUDA_HOME', 'TORCH_CUDA_ARCH_LIST', 'MAX_JOBS'):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_a_gpu_and_nvcc_make_a_cuda_build(toolkit):
    assert build_mmcv.find_toolkit() == toolkit
    variables = build_mmcv.find_variables('9.0')
    assert variables['FORCE_CUDA'] == '1'
    assert variables['CUDA_HOME'] == str(toolkit)
    assert variables['TORCH_CUDA_ARCH_LIST'] == '9.0'
    assert int(variables['MAX_JOBS']) >= 1


def test_without_a_gpu_the_architectures_decide(toolkit, monkeypatch):
    variables = build_mmcv.find_variables('')
    assert variables['FORCE_CUDA'] == '0'
    assert variables['CUDA_VISIBLE_DEVICES'] == ''
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '8.0;9.0')
    assert build_mmcv.find_variables('')['FORCE_CUDA'] == '1'
    monkeypatch.setenv('CUDA_HOME', '/nowhere')
    assert build_mmcv.find_toolkit() is None
    assert not build_mmcv.can_build_cuda()
    assert build_mmcv.find_variables('9.0')['FORCE_CUDA'] == '0'
