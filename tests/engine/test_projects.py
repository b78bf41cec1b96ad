"""Configs of projects load from anywhere, without PYTHONPATH."""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'projects/point_mae/configs/point_mae_mini.py'


def test_config_of_a_project_loads_from_another_directory(tmp_path):
    code = (
        'import sys\n'
        'from sam3d_plugin.engine.options import read_config\n'
        # `make setup` puts the clone there; an installed package has none
        f'sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]\n'
        f'read_config({str(CONFIG)!r}, {{}})\n'
        'print(sys.modules["projects.point_mae"].PointMAE.__name__)\n'
        'assert sys.path[-1].endswith("sam3d_plugin/.mim")\n')
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    result = subprocess.run([sys.executable, '-c', code],
                            cwd=tmp_path,
                            env=environment,
                            capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-1] == 'PointMAE'
