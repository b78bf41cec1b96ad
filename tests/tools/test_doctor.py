"""The doctor, on complete and on broken environments."""
import subprocess
import sys
from pathlib import Path

import pytest

from tools import doctor

ROOT = Path(__file__).resolve().parents[2]


def test_packages_are_compared_with_the_lock():
    found = doctor.version('numpy').split('+')[0]
    assert doctor.check_packages([f'numpy=={found}',
                                  'x==1 ; 0'])[0] == ('ok', '2 packages', '')
    findings = doctor.check_packages(['numpy==1.2', 'no-such-package==1'])
    assert [finding.state for finding in findings] == ['info', 'BROKEN']
    assert 'numpy' in findings[0].text and 'make setup' in findings[1].fix


def test_import_errors_are_explained(tmp_path, monkeypatch):
    (tmp_path / 'needs_gl.py').write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')")
    (tmp_path / 'fails.py').write_text('raise ValueError')
    monkeypatch.syspath_prepend(str(tmp_path))
    finding = doctor.check_import('needs_gl')
    assert finding.state == 'BROKEN' and 'libGL.so.1' in finding.text
    assert 'pip uninstall -y open3d' in finding.fix
    assert doctor.check_import('fails').fix == doctor.REPAIR
    assert doctor.check_import('json').state == 'ok'


@pytest.mark.parametrize('message, symptom', [
    ("ModuleNotFoundError: No module named 'pkg_resources'", 'pkg_resources'),
    ('_pickle.UnpicklingError: Weights only load failed.', 'Weights only'),
    ('AttributeError: torch.cuda.set_device', 'torchrun'),
    ('ValueError: SyncBatchNorm expected input tensor to be on GPU', 'SyncB'),
    ("TypeError: cannot pickle 'module' object", 'config'),
    ('OSError: libusb-1.0.so.0: cannot open shared object file', 'libGL'),
    ("No module named 'lyft_dataset_sdk'", 'mmdet3d.evaluation'),
    ('AttributeError: _ARRAY_API not found', 'NumPy 1.x'),
    ('TypeError: only 0-dimensional arrays can be converted to Python scalars',
     'AP fails'),
    ('mmcv/_ext.so: undefined symbol: _ZN3c10', 'mmcv._ext'),
    ('nms is a compiled operation of mmcv, which mmcv-lite lacks', 'mmcv-lit'),
    ('furthest_point_sampling_forward_impl: implementation for device cpu '
     'not found.', 'Implementation for device'),
    ('mAP_0.25: nan', 'mAP is NaN'),
    ('resumed losses differ', 'A resumed run'),
    ('two tests of one checkpoint differ', 'Two tests'),
])
def test_known_failures_are_found_by_their_messages(message, symptom):
    assert symptom in next(iter(doctor.find_known_failures(message)))


def test_every_section_of_the_page_is_read():
    known = doctor.find_known_failures('')
    page = (ROOT / 'docs' / 'troubleshooting.md').read_text()
    assert len(known) == page.count('\n## ') > 10
    assert all(known.values())
    assert doctor.find_known_failures('an error that is new') == {}


def test_data_is_information(tmp_path):
    assert 'import_scans.py' in doctor.check_data(tmp_path / 'no')[0].text
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'scannet' / 'points').mkdir(parents=True)
    (tmp_path / 'scannet' / 'points' / 'scene.bin').touch()
    (tmp_path / 'scannet' / 'scannet_infos_train.pkl').touch()
    findings = doctor.check_data(tmp_path)
    assert [finding.state for finding in findings] == ['info', 'ok']
    assert findings[1].text.endswith('1 scans, scannet_infos_train.pkl')


def run_doctor(*options: str) -> subprocess.CompletedProcess:
    # -S leaves site-packages out: a Python with nothing installed.
    return subprocess.run(
        [sys.executable, '-S', '-E', 'tools/doctor.py', *options],
        cwd=ROOT,
        capture_output=True,
        text=True)


def test_doctor_runs_where_nothing_is_installed():
    result = run_doctor()
    assert result.returncode == 1 and result.stderr == ''
    assert 'BROKEN  import mmcv.ops: ModuleNotFoundError' in result.stdout
    broken = result.stdout.count('BROKEN')
    assert broken == len(doctor.MODULES)
    assert result.stdout.endswith(f'{broken} broken\n')


def test_explaining_from_the_command_line():
    result = run_doctor('--explain', "No module named 'pkg_resources'")
    assert result.returncode == 0 and 'setuptools' in result.stdout
    result = run_doctor('--explain', 'an error that is new')
    assert result.returncode == 1 and 'not in docs' in result.stdout
    assert len(run_doctor('--explain').stdout.split('\n\n')) > 10
