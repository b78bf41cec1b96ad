"""Our components are found whatever was imported or looked up before."""
import os
import subprocess
import sys

import pytest

from tests.acceptance import import_orders


@pytest.mark.timeout(1200)
def test_every_order_of_imports_and_every_first_lookup():
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', import_orders.__file__],
        env={
            **os.environ, 'PYTHONPATH': str(import_orders.ROOT)
        },
        capture_output=True,
        text=True,
        check=False)
    assert result.returncode == 0, result.stderr
    states = int(result.stdout.split()[-2])
    assert states > 2**len(import_orders.KINDS)
