"""The doctor, on healthy and on broken environments."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import doctor

ROOT = Path(__file__).resolve().parents[2]
PINS = doctor.read_pins(ROOT)
KNOWN = doctor.read_known_failures(doctor.KNOWN_FAILURES)


@pytest.mark.parametrize('version, state', [
    ((3, 9, 18), 'BROKEN'),
    ((3, 10, 0), 'ok'),
    ((3, 12, 9), 'ok'),
    ((3, 13, 0), 'BROKEN'),
])
def test_python_version(version, state):
    assert doctor.check_python(version).state == state


@pytest.mark.parametrize('name, version, state, says', [
    ('numpy', '1.26.4', 'ok', ''),
    ('numpy', '1.25.2', 'info', 'tests run with 1.26.4'),
    ('numpy', '2.0.0', 'BROKEN', 'below 2 is needed'),
    ('setuptools', '81.0.0', 'BROKEN', 'pkg_resources'),
    ('torch', '2.11.0+cu130', 'ok', ''),
    ('torch', '2.14.0', 'BROKEN', 'mmcv 2.1.0 does not compile'),
    ('opencv-python-headless', '5.0.0', 'BROKEN', 'OpenCV 5'),
    ('mmcv', None, 'BROKEN', 'not installed'),
])
def test_package_versions(name, version, state, says):
    finding = doctor.check_package(name, version, PINS)
    assert finding.state == state
    assert says in finding.text
    assert bool(finding.mend) == (state == 'BROKEN')


def test_every_checked_package_is_pinned_within_its_limits():
    for name in doctor.LIMITS:
        assert doctor.check_package(name, PINS[name], PINS).state == 'ok'


def test_mending_in_a_venv_names_a_command_that_pins(monkeypatch):
    monkeypatch.setattr(sys, 'prefix', '/venv')
    numpy = doctor.check_package('numpy', '2.1.0', PINS)
    assert numpy.mend.endswith('-m pip install --no-deps numpy==1.26.4')
    mmcv = doctor.check_package('mmcv', None, PINS)
    assert mmcv.mend.endswith('tools/build_mmcv.py --version 2.1.0')


def test_mending_leaves_the_system_python_alone(monkeypatch):
    monkeypatch.setattr(sys, 'prefix', sys.base_prefix)
    assert doctor.check_package('numpy', None, PINS).mend == 'make setup'


def test_import_errors_are_explained(tmp_path, monkeypatch):
    (tmp_path / 'needs_gl.py').write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    error = doctor.import_error('needs_gl')
    finding = doctor.check_import('needs_gl', error)
    assert finding.state == 'BROKEN'
    assert 'libGL.so.1' in finding.text
    assert 'pip uninstall -y open3d' in finding.mend
    assert doctor.import_error('json') is None
    assert doctor.check_import('json', None).state == 'ok'


def test_unknown_import_errors_send_to_the_set_up():
    finding = doctor.check_import('cv2', 'ValueError: a new one')
    assert finding == ('BROKEN', 'import cv2: ValueError: a new one',
                       doctor.REPEAT_SETUP)


def test_gpu_without_cuda_operations_is_broken():
    assert doctor.check_gpu(None, 'not available').state == 'info'
    assert doctor.check_gpu('H100', '13.0').state == 'ok'
    broken = doctor.check_gpu('H100', 'not available')
    assert broken.state == 'BROKEN' and 'nvcc' in broken.mend


@pytest.mark.parametrize('message, symptom', [
    ("ModuleNotFoundError: No module named 'pkg_resources'", 'pkg_resources'),
    ('_pickle.UnpicklingError: Weights only load failed.', 'Weights only'),
    ('AttributeError: torch.cuda.set_device', 'torchrun'),
    ('ValueError: SyncBatchNorm expected input tensor to be on GPU', 'SyncB'),
    ("TypeError: cannot pickle 'module' object", 'config'),
    ('OSError: libusb-1.0.so.0: cannot open shared object file', 'libGL'),
    ("No module named 'lyft_dataset_sdk'", 'mmdet3d.evaluation'),
    ('AttributeError: _ARRAY_API not found', 'NumPy 1.x'),
    ('mmcv/_ext.so: undefined symbol: _ZN3c10', 'mmcv._ext'),
    ('furthest_point_sampling_forward_impl: implementation for device cpu '
     'not found.', 'Implementation for device'),
    ('RuntimeError: cannot cache function f: no locator available', 'numba'),
    ('mAP_0.25: nan', 'mAP is NaN'),
    ('resumed losses differ', 'A resumed run'),
    ('two tests of one checkpoint differ', 'Two tests'),
])
def test_known_failures_are_found_by_their_messages(message, symptom):
    assert symptom in doctor.explain(message, KNOWN)[0].symptom


def test_the_page_of_known_failures_is_read_whole():
    headings = doctor.KNOWN_FAILURES.read_text().count('\n## ')
    assert len(KNOWN) == headings > 10
    assert all(failure.reason for failure in KNOWN)
    assert doctor.explain('an error nobody has seen', KNOWN) == []


def test_data_is_information(tmp_path):
    assert 'import_scans.py' in doctor.check_data(tmp_path / 'no')[0].text
    (tmp_path / 'empty').mkdir()
    scannet = tmp_path / 'scannet'
    (scannet / 'points').mkdir(parents=True)
    (scannet / 'points' / 'scene.bin').touch()
    (scannet / 'scannet_infos_train.pkl').touch()
    findings = doctor.check_data(tmp_path)
    assert [finding.state for finding in findings] == ['info', 'ok']
    assert findings[1].text.endswith('1 scans, scannet_infos_train.pkl')


def test_numba_needs_one_folder_that_can_be_written(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    assert doctor.check_cache([file / 'x', tmp_path / 'new']).state == 'ok'
    finding = doctor.check_cache([file / 'x'])
    assert finding.state == 'BROKEN'
    assert finding.mend.startswith('export NUMBA_CACHE_DIR=')


def run_doctor(*options: str) -> subprocess.CompletedProcess:
    # -S leaves site-packages out: a Python with nothing installed.
    return subprocess.run(
        [sys.executable, '-S', '-E', 'tools/doctor.py', *options],
        cwd=ROOT,
        env=dict(os.environ, NUMBA_CACHE_DIR='/tmp'),
        capture_output=True,
        text=True)


def test_doctor_runs_where_nothing_is_installed():
    result = run_doctor()
    assert result.returncode == 1
    assert result.stderr == ''
    assert 'BROKEN  torch is not installed' in result.stdout
    lines = result.stdout.splitlines()
    assert lines[-1] == f'{len(doctor.LIMITS) + 1} broken.'


def test_explaining_from_the_command_line():
    result = run_doctor('--explain', "No module named 'pkg_resources'")
    assert result.returncode == 0 and 'setuptools' in result.stdout
    result = run_doctor('--explain', 'an error nobody has seen')
    assert result.returncode == 1 and 'not in docs' in result.stdout
    assert run_doctor('--explain').stdout.count('\n    ') >= len(KNOWN)
