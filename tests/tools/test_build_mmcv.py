"""mmcv's wheel store: keys, whole wheels, and the variables of a build."""
import zipfile
from pathlib import Path

import pytest

from tools import build_mmcv
from tools.build_mmcv import BuildError, Target


def write_wheel(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'mmcv-2.1.0-cp311-cp311-linux_x86_64.whl'
    with zipfile.ZipFile(path, 'w') as wheel:
        for name in names:
            wheel.writestr(name, 'x' * 1000)
    return path


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return tmp_path / 'sam3d_plugin'


@pytest.mark.parametrize('target, key', [
    (Target('311', '2.11.0'), 'py311-torch2.11.0-cpu'),
    (Target('312', '2.11.0', '13.0', '9.0'), 'py312-torch2.11.0-cu130-sm90'),
    (Target('310', '2.11.0', '13.0',
            '8.0;9.0+PTX'), 'py310-torch2.11.0-cu130-sm80_90_PTX'),
])
def test_keys(target, key):
    assert target.key == key


def test_a_wheel_in_the_store_is_used_without_a_build(store, monkeypatch):
    target = Target('311', '2.11.0')
    wheel = write_wheel(store / 'wheels' / target.key, 'mmcv/_ext.cpython.so')
    monkeypatch.setattr(build_mmcv, 'check_compiler',
                        lambda: pytest.fail('a build was started'))
    assert build_mmcv.provide_wheel(target, None, '2.1.0') == wheel


def test_half_written_and_opless_wheels_are_not_taken(tmp_path):
    whole = write_wheel(tmp_path, 'mmcv/_ext.cpython.so')
    assert build_mmcv.find_wheel(tmp_path, '2.1.0') == whole
    assert build_mmcv.find_wheel(tmp_path, '2.2.0') is None
    whole.write_bytes(whole.read_bytes()[:500])
    assert build_mmcv.find_wheel(tmp_path, '2.1.0') is None
    write_wheel(tmp_path, 'mmcv/__init__.py')
    assert build_mmcv.find_wheel(tmp_path, '2.1.0') is None


def fake_build(monkeypatch, build_wheel):
    monkeypatch.setattr(build_mmcv, 'check_compiler', lambda: None)
    monkeypatch.setattr(build_mmcv, 'fetch_source', lambda folder, _: folder)
    monkeypatch.setattr(build_mmcv, 'build_wheel', build_wheel)


def test_a_built_wheel_moves_into_the_store(store, monkeypatch):
    fake_build(
        monkeypatch, lambda source, output, variables, log: write_wheel(
            output, 'mmcv/_ext.cpython.so'))
    target = Target('311', '2.11.0')
    wheel = build_mmcv.provide_wheel(target, None, '2.1.0')
    assert wheel.parent == store / 'wheels' / target.key and wheel.exists()
    assert not (store / 'build' / target.key).exists()


def test_a_failed_build_leaves_the_store_empty_and_its_objects(
        store, monkeypatch):

    def stop(source, output, variables, log):
        (source / 'object.o').touch()
        raise BuildError('stopped')

    fake_build(monkeypatch, stop)
    target = Target('311', '2.11.0')
    with pytest.raises(BuildError, match='stopped'):
        build_mmcv.provide_wheel(target, None, '2.1.0')
    assert not (store / 'wheels').exists()
    assert (store / 'build' / target.key / 'object.o').exists()


@pytest.mark.parametrize('choice, has_gpu, has_nvcc, cuda', [
    ('', False, True, False),
    ('', True, False, False),
    ('', True, True, True),
    ('1', False, True, True),
    ('0', True, True, False),
])
def test_when_cuda_operations_are_built(choice, has_gpu, has_nvcc, cuda):
    assert build_mmcv.wants_cuda(choice, has_gpu, has_nvcc) == cuda


def test_cuda_without_its_compiler_is_refused():
    with pytest.raises(BuildError, match='nvcc is not on PATH'):
        build_mmcv.wants_cuda('1', True, False)
    with pytest.raises(BuildError, match='set it to 1 or 0'):
        build_mmcv.wants_cuda('yes', True, True)


def make_toolkit(folder: Path, release: str) -> Path:
    (folder / 'bin').mkdir(parents=True)
    (folder / 'include').mkdir()
    nvcc = folder / 'bin' / 'nvcc'
    nvcc.write_text('#!/bin/sh\n'
                    f'[ "$1" = --dryrun ] && echo "#$ TOP={folder}/bin/.." >&2'
                    f'\necho "release {release}, V{release}.88"\n')
    nvcc.chmod(0o755)
    return folder


def test_the_toolkit_is_found_behind_a_script(tmp_path, monkeypatch):
    toolkit = make_toolkit(tmp_path / 'cuda-13.0', '13.0')
    script = tmp_path / 'bin' / 'nvcc'
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {toolkit}/bin/nvcc "$@"\n')
    script.chmod(0o755)
    monkeypatch.delenv('CUDA_HOME', raising=False)
    monkeypatch.setenv('PATH', str(script.parent), prepend=':')
    assert build_mmcv.find_toolkit() == toolkit


def test_a_toolkit_of_another_major_version_is_refused(tmp_path):
    toolkit = make_toolkit(tmp_path / 'cuda', '12.8')
    build_mmcv.check_toolkit(toolkit, '12.6')
    with pytest.raises(BuildError, match='load a CUDA 13 toolkit'):
        build_mmcv.check_toolkit(toolkit, '13.0')


def test_variables_of_a_cpu_build_hide_the_gpu(monkeypatch):
    monkeypatch.delenv('MAX_JOBS', raising=False)
    variables = build_mmcv.build_variables(Target('311', '2.11.0'), None)
    assert variables['MMCV_WITH_OPS'] == '1'
    assert variables['FORCE_CUDA'] == '0'
    assert variables['CUDA_VISIBLE_DEVICES'] == ''
    assert int(variables['MAX_JOBS']) >= 1


def test_variables_of_a_cuda_build(tmp_path, monkeypatch):
    monkeypatch.setenv('CPATH', '/mine')
    toolkit = make_toolkit(tmp_path / 'cuda', '13.0')
    target = Target('311', '2.11.0', '13.0', '9.0')
    variables = build_mmcv.build_variables(target, toolkit)
    assert variables['FORCE_CUDA'] == '1'
    assert variables['TORCH_CUDA_ARCH_LIST'] == '9.0'
    assert variables['CUDA_HOME'] == str(toolkit)
    assert variables['CPATH'].startswith('/mine')
    for name in build_mmcv.LIBRARY_HEADERS:
        (toolkit / 'include' / name).touch()
    complete = build_mmcv.build_variables(target, toolkit)
    assert complete['CPATH'] == '/mine'


@pytest.mark.parametrize('cores, gigabytes, jobs', [(2, 16, 2), (64, 8, 2),
                                                    (4, 1, 1)])
def test_jobs_fit_cores_and_memory(cores, gigabytes, jobs):
    assert build_mmcv.choose_jobs(cores, gigabytes, 4) == jobs


def test_progress_is_read_from_ninja(tmp_path):
    log = tmp_path / 'build.log'
    log.write_text('running build_ext\n')
    assert build_mmcv.read_progress(log) == 'starting'
    log.write_text('[1/97] c++ a.o\n[12/97] c++ b.o\n')
    assert build_mmcv.read_progress(log) == 'file 12 of 97'


def test_the_build_says_where_its_output_is(tmp_path):
    with pytest.raises(BuildError, match='build.log'):
        build_mmcv.build_wheel(tmp_path / 'no source', tmp_path, {},
                               tmp_path / 'build.log')
