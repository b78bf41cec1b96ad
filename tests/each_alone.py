"""Run each test file in a process of its own: ``python -m tests.each_alone``.

A file may lean on what another has imported or registered. The processes are
forked from one that has imported torch and mmcv, but neither mmdet3d nor this
package, so that the order of their imports is that of the file.
"""
import multiprocessing
import sys
from pathlib import Path

import mmcv.ops  # noqa: F401
import mmengine.runner  # noqa: F401
import pytest
import torch  # noqa: F401

TESTS = Path(__file__).parent


def run(path):
    """What a process does."""
    sys.exit(pytest.main(['-x', '-p', 'no:randomly', path]))


if __name__ == '__main__':
    paths = sys.argv[1:] or map(str, sorted(TESTS.glob('**/test_*.py')))
    failed = []
    for path in paths:
        process = multiprocessing.get_context('fork').Process(
            target=run, args=(path, ))
        process.start()
        process.join()
        if process.exitcode:
            failed.append(path)
    sys.exit('\n'.join(['fail alone:', *failed]) if failed else 0)
